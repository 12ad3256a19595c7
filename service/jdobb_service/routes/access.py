"""What stands for an API key in a browser: signed addresses of event streams, and sessions."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from starlette.responses import Response

from jdobb_service import examples
from jdobb_service.answers import json_response, no_content
from jdobb_service.body import read_json
from jdobb_service.keys import SCOPES
from jdobb_service.operations import Body, Call, Resource, Success, operation
from jdobb_service.problems import Problem, pointer
from jdobb_service.schemas import access as wire
from jdobb_service.security import unauthenticated
from jdobb_service.sessions import LIFETIME, cookie, is_own_origin
from jdobb_service.signing import EVENTS, SESSION
from jdobb_service.strict_json import checked

resource = Resource("access")

_SIGNATURE = {"sig": "AQAAAABw3tKABHNob3DPZx5t", "expires_at": examples.AT}
_CALLER = {"caller": "shop", "scopes": ["enqueue", "read", "cancel"]}
_SESSION = {"caller": "shop", "scopes": ["enqueue", "read"], "expires_at": examples.AT}


@operation(
    resource,
    "POST",
    "/events/token",
    scope="read",
    body=Body(wire.NewEventToken, {"jobs": {"jobs": ["order-18"], "ttl": 600}}),
    success=[Success(201, "The signature.", wire.EventToken, example=_SIGNATURE)],
    problems=["job-not-found"],
)
async def sign_events(call: Call) -> Response:
    """Sign the addresses of jobs' event streams, for pages that have no API key.

    Whoever has `sig` can open `/jobs/{id}/events?sig=…` and `/events?job=…&sig=…` for these jobs, and nothing
    else. It is valid as long as the key that made it.
    """
    body = checked(wire.NewEventToken, await read_json(call))
    for number, job in enumerate(await call.queue.get_many(body.jobs)):
        if job is None or not call.caller.sees(job):
            place = {"pointer": pointer("jobs", number), "detail": "no job has this id"}
            raise Problem("job-not-found", errors=[place])
    expires_at = int(time.time()) + body.ttl
    sig = call.state.signer.sign(EVENTS, call.caller.id, expires_at, body.jobs)
    return json_response(wire.EventToken(sig=sig, expires_at=_instant(expires_at)), status=201)


@operation(
    resource,
    "POST",
    "/session",
    scope="read",
    success=[Success(201, "The session has begun.", wire.Session, ("Set-Cookie",), example=_SESSION)],
    session=False,
)
async def begin_session(call: Call) -> Response:
    """Exchange an API key for a cookie, for the service's own pages.

    The cookie does what the key may: reading from anywhere in the browser, changing only from pages of the
    same origin. It lasts twelve hours.
    """
    key = call.caller.key
    if key is not None and call.header(b"authorization") is None:
        raise unauthenticated("A session does not begin another one: send the API key.")
    expires_at = int(time.time()) + LIFETIME
    session = wire.Session(caller=call.caller.id, scopes=_scopes(call), expires_at=_instant(expires_at))
    headers = {}
    if key is not None:
        text = call.state.signer.sign(SESSION, key.id, expires_at)
        headers["set-cookie"] = _cookie(call, text, LIFETIME)
    return json_response(session, status=201, headers=headers)


@operation(
    resource,
    "GET",
    "/session",
    scope="read",
    success=[Success(200, "Who calls.", wire.WhoIsThere, example=_CALLER)],
)
async def show_session(call: Call) -> Response:
    """Tell who calls and what they may do, by a session or an API key."""
    who = wire.WhoIsThere(caller=call.caller.id, scopes=_scopes(call))
    return json_response(who)


@operation(
    resource,
    "DELETE",
    "/session",
    scope=None,
    success=[Success(204, "There is no session any more.", None, ("Set-Cookie",))],
    problems=["foreign-origin"],
)
async def end_session(call: Call) -> Response:
    """Remove the cookie."""
    if call.header(b"origin") is not None and not is_own_origin(call.headers):
        raise Problem("foreign-origin")
    return no_content({"set-cookie": _cookie(call, "", 0)})


def _scopes(call: Call) -> list[str]:
    return [scope for scope in SCOPES if call.caller.may(scope)]


def _cookie(call: Call, value: str, lifetime: int) -> str:
    return cookie(value, path=call.path("/"), secure=call.scope.get("scheme") == "https", lifetime=lifetime)


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
