"""Where a command's jobs are: in a store that it opens itself, or behind a service."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from jdobb_service.cli.exits import ExitCode, Refusal

if TYPE_CHECKING:
    from jdobb_service.cli.clients.base import Client

URL_VARIABLE = "JDOBB_URL"


def connect(url: str | None, backend_url: str | None, namespace: str | None) -> Client:
    """Return the client that the options choose; the service of ``JDOBB_URL`` comes before settings.

    Nothing is contacted yet. Raises ``Refusal`` when the options contradict each other.
    """
    if url is not None and backend_url is not None:
        raise Refusal(ExitCode.USAGE, "give either --url or --backend-url, not both")
    if backend_url is None and (service := service_url(url)) is not None:
        if namespace is not None:
            raise Refusal(ExitCode.USAGE, f"--namespace is for --backend-url; {service} has its own")
        from jdobb_service.cli.clients.http import HttpClient

        return HttpClient.from_environment(service)
    from jdobb_service.cli.clients.backend import BackendClient

    return BackendClient(backend_url, namespace)


def service_url(url: str | None) -> str | None:
    """Return the service's address from the option, else from the environment, else None."""
    return url if url is not None else os.environ.get(URL_VARIABLE) or None
