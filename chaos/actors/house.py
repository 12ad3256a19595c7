"""The service with all handlers in one process, as ``jdobb serve module:router``, its store watched."""

from __future__ import annotations

import sys

from chaos.actors.handlers import Handlers
from chaos.actors.part import Part
from chaos.actors.witness import witness_of
from jdobb_async_queue import JobQueue
from jdobb_async_queue.backends.memory import MemoryBackend
from jdobb_service.app import create_app
from jdobb_service.listening import listen
from jdobb_service.logs import configure_logging
from jdobb_service.server import Server
from jdobb_service.settings import load_settings


def main() -> None:
    """Serve until SIGTERM."""
    part = Part.mine()
    settings = load_settings(port=part.options["port"], lease=part.lease, log_level="warning")
    configure_logging(settings)
    write = part.journal()
    queue = JobQueue(witness_of(MemoryBackend(), write, part.who, remote="http-worker"), lease=part.lease)
    routers = [Handlers(part, write, queue).router()]
    app = create_app(settings, routers, queue=queue)
    listener = listen(settings)
    server = Server(app, settings, listener, routers)
    server.run(sockets=[listener])
    sys.exit(server.exit_code)


if __name__ == "__main__":
    main()
