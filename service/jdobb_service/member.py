"""One of several processes that serve the same address: it obeys its parent, and ends with it."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from types import FrameType

from fastapi import FastAPI

from jdobb_async_queue import JobRouter
from jdobb_service.app import create_app
from jdobb_service.ending import USAGE, refuse
from jdobb_service.orders import Orders
from jdobb_service.server import Server
from jdobb_service.settings import InvalidSettings, Settings


def serve(
    settings: Settings,
    routers: Sequence[JobRouter],
    listener: socket.socket,
    orders: Orders,
    *,
    has_banner: bool,
) -> int:
    """Serve until told to end, and return the exit code: 0, 1 failed to start, 2 refused to."""
    try:
        app = create_app(settings, routers)
    except (InvalidSettings, ModuleNotFoundError, ValueError) as error:
        return refuse(error, USAGE)
    member = Member(app, settings, listener, routers, orders=orders, has_banner=has_banner)
    orders.go_to(member)
    member.run(sockets=[listener])
    return member.exit_code


class Member(Server):
    """A server that tells its parent when it answers, and lets nobody else hurry it."""

    def __init__(
        self,
        app: FastAPI,
        settings: Settings,
        listener: socket.socket,
        routers: Sequence[JobRouter],
        *,
        orders: Orders,
        has_banner: bool,
    ) -> None:
        super().__init__(app, settings, listener, routers)
        self._orders, self._has_banner = orders, has_banner

    def announce(self) -> None:
        """Say where it is if nobody else does, and tell the parent."""
        if self._has_banner:
            super().announce()
        self._orders.report_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to close. Service managers send a signal to every process, the parent's order comes too."""
        del sig, frame
        self.close()
