"""Talking to the service as a client does who wants an answer: at another address after each failure."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from chaos.actors.part import Part
from chaos.history import Event, Fault, now

_TIMEOUT = httpx.Timeout(11.0, connect=2.0)
"""Longer than the service waits for its store, and shorter than a drain does for something to move."""


class Api:
    """A client of all addresses of the service; a failed call turns to the next one."""

    def __init__(self, part: Part) -> None:
        self._clients = [httpx.AsyncClient(base_url=url, timeout=_TIMEOUT) for url in part.urls]
        self._turn = 0
        self._is_broken = False
        self._write, self._who = part.journal(), part.who

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients:
            await client.aclose()

    @property
    def client(self) -> httpx.AsyncClient:
        """Return the client of the present address."""
        return self._clients[self._turn % len(self._clients)]

    def turn(self) -> None:
        """Use the next address from now on."""
        self._turn += 1

    async def call(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response | None:
        """Make a call once; None when no answer came, or one that says nothing of whether it was done."""
        try:
            answer = await self.client.request(method, path, json=body, headers=headers)
        except httpx.HTTPError:
            self.turn()
            self._is_broken = True
            return None
        if self._is_broken:
            self._is_broken = False
            self._write(reconnected(self._who))
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            self.turn()
            return None
        return answer


def reconnected(who: str) -> Event:
    """Return the note that a connection was lost and made anew."""
    return Fault(at=now(), fault="reconnect", target=who)
