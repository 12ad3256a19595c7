"""Whether a service could listen where the settings say."""

from __future__ import annotations

from jdobb_service.cli.checks.finding import Finding, ok, warning
from jdobb_service.settings import Settings


def port_finding(settings: Settings) -> Finding:
    """Try to listen, and stop at once."""
    from jdobb_service.listening import CannotServe, listen

    try:
        listen(settings).close()
    except CannotServe as error:
        return warning(
            "port",
            str(error),
            "end what listens there, or give the service another one by --port; "
            "if it is the service itself, ask that: jdobb doctor --url",
        )
    return ok("port", f"{settings.host} port {settings.port} is free")
