"""The process in which the service of ``jdobb dev`` runs: ``python -m``, with its plan as the argument.

It ends by SIGTERM as ``jdobb serve`` does, and by itself when the process that started it is gone.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from dataclasses import asdict, dataclass
from typing import Any

from jdobb_service.cli.exits import refusal_of
from jdobb_service.cli.output import note
from jdobb_service.cli.target import load_routers


@dataclass(frozen=True, slots=True)
class Plan:
    """What to serve: handlers, arguments that win over other settings, the socket, and the parent's pipe."""

    targets: list[str]
    arguments: dict[str, Any]
    listener: int
    parent: int
    debug: bool = False

    def argument(self) -> str:
        """Return the plan as an argument of the program."""
        return json.dumps(asdict(self))


def main() -> None:
    """Serve as the plan says, and exit with the code of ``jdobb serve``."""
    plan = Plan(**json.loads(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which decides what it means
    threading.Thread(target=_end_with_parent, args=(plan.parent,), daemon=True).start()
    try:
        code = _serve(plan)
    except Exception as error:  # noqa: BLE001 - whatever the user's module raises is said, and mended there
        if plan.debug:
            sys.excepthook(type(error), error, error.__traceback__)
        refusal = refusal_of(error)
        note(f"jdobb: {refusal}")
        code = refusal.code
    sys.exit(code)


def _serve(plan: Plan) -> int:
    from jdobb_service.app import create_app
    from jdobb_service.logs import configure_logging
    from jdobb_service.server import Server
    from jdobb_service.settings import load_settings

    settings = load_settings(**plan.arguments)
    configure_logging(settings)
    routers = load_routers(plan.targets)
    app = create_app(settings, routers)
    listener = socket.socket(fileno=plan.listener)
    port = listener.getsockname()[1]
    if settings.port not in {0, port}:
        note(f"port {settings.port} counts when jdobb dev is started again; until then it is {port}")
    server = Server(app, settings, listener, routers)
    server.run(sockets=[listener])
    return server.exit_code


def _end_with_parent(pipe: int) -> None:
    """Wait for the end of the pipe that the parent holds, then end in order."""
    os.read(pipe, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
