"""What is published in Redis, for all who watch in this process: one connection, however many watch."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from redis import exceptions

from jdobb_async_queue.backends.bells import ANY_JOB, CANCELLED
from jdobb_async_queue.backends.redis.connection import end, hang_up

if TYPE_CHECKING:
    from jdobb_async_queue.backends.bells import Bells
    from jdobb_async_queue.backends.redis.connection import Connection

logger = logging.getLogger("jdobb_async_queue")

PING_EVERY = 75.0
"""Seconds of silence after which the server is asked for a sign of life."""
ANSWER_WITHIN = 10.0
"""Seconds within which it must give one."""
_LINGER = 2.0
_CONNECT_WITHIN = 5.0
_CHUNK = 500
_JOB = "job:"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0


class Hub:
    """Subscribes to what is watched, and rings for what is published.

    Whoever is subscribed anew is rung too: between the subscription and the last reading something may
    have been published. It notices a silent connection itself, connects again, and rings everybody then.
    """

    def __init__(self, connection: Connection, prefix: str, bells: Bells) -> None:
        self._connection, self._prefix, self._bells = connection, prefix, bells
        self._watched: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None
        self._changes = asyncio.Event()
        self._changed: set[str] = set()
        """The channels that got their first watcher or lost their last since the subscriptions followed."""
        self._subscribed: set[str] = set()

    def watch(self, topic: str) -> None:
        """Begin to follow a topic: a job's, that of every job, or that of cancellations."""
        channel = self._channel(topic)
        self._watched[channel] = self._watched.get(channel, 0) + 1
        if self._watched[channel] == 1:
            self._note(channel)
        if self._task is None and not self._connection.is_closing:
            self._task = asyncio.ensure_future(self._run())

    def unwatch(self, topic: str) -> None:
        """End what ``watch`` began; the subscription lingers for a moment, the next watcher may come."""
        channel = self._channel(topic)
        self._watched[channel] -= 1
        if not self._watched[channel]:
            asyncio.get_running_loop().call_later(_LINGER, self._drop, channel)

    async def close(self) -> None:
        """End the connection."""
        if self._task is not None:
            await end(self._task)
            self._task = None

    def _channel(self, topic: str) -> str:
        return self._prefix + ("control" if topic == CANCELLED else topic)

    def _drop(self, channel: str) -> None:
        if self._watched.get(channel) == 0:
            del self._watched[channel]
            self._note(channel)

    def _note(self, channel: str) -> None:
        self._changed.add(channel)
        self._changes.set()

    async def _run(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                await self._follow()
            except (exceptions.RedisError, OSError, asyncio.TimeoutError) as error:
                self._connection.tell_broken("subscriptions (SUBSCRIBE, PSUBSCRIBE)", error)
            except Exception:
                logger.exception("the subscriptions broke off, connecting again")
            pause = _FIRST_PAUSE if self._subscribed else min(_LONGEST_PAUSE, 2 * pause)
            await asyncio.sleep(pause)

    async def _follow(self) -> None:
        """Subscribe and listen until the connection breaks."""
        client = self._connection.new_client()
        pubsub = client.pubsub()
        self._subscribed, self._changed = set(), set(self._watched)
        try:
            await asyncio.wait_for(pubsub.connect(), _CONNECT_WITHIN)  # type: ignore[no-untyped-call,unused-ignore]
            listening = asyncio.ensure_future(self._listen(pubsub))
            changing = asyncio.ensure_future(self._follow_changes(pubsub))
            try:
                done, _ = await asyncio.wait([listening, changing], return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                for task in (listening, changing):
                    task.cancel()
                await asyncio.gather(listening, changing, return_exceptions=True)
        finally:
            await hang_up(client)
            self._bells.ring_all()

    async def _follow_changes(self, pubsub: Any) -> None:
        """Keep the subscriptions in step with what is watched."""
        pattern = {self._channel(ANY_JOB)}
        while True:
            changed, self._changed = self._changed, set()
            watched = changed & self._watched.keys()
            added, dropped = watched - self._subscribed, (changed - watched) & self._subscribed
            for channels, change in (
                (sorted(added - pattern), pubsub.subscribe),
                (sorted(added & pattern), pubsub.psubscribe),
                (sorted(dropped - pattern), pubsub.unsubscribe),
                (sorted(dropped & pattern), pubsub.punsubscribe),
            ):
                for begin in range(0, len(channels), _CHUNK):
                    await change(*channels[begin : begin + _CHUNK])
            self._subscribed |= added
            self._subscribed -= dropped
            self._changes.clear()
            if not self._changed:
                await self._changes.wait()

    async def _listen(self, pubsub: Any) -> None:
        is_asked = False
        while True:
            patience = ANSWER_WITHIN if is_asked else PING_EVERY
            message = await pubsub.get_message(ignore_subscribe_messages=False, timeout=patience)
            if message is not None:
                is_asked = False
                self._ring(message)
            elif is_asked:
                raise exceptions.ConnectionError("nothing was heard for too long")
            else:
                is_asked = True
                await pubsub.ping()

    def _ring(self, message: dict[str, Any]) -> None:
        if message["type"] not in {"message", "subscribe", "pmessage", "psubscribe"}:
            return
        topic = message["channel"].decode().removeprefix(self._prefix)
        if message["type"] == "pmessage":
            self._bells.ring_job(topic.removeprefix(_JOB))
        else:
            self._bells.ring(CANCELLED if topic == "control" else topic)
