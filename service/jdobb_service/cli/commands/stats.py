"""``jdobb stats``."""

from __future__ import annotations

from jdobb_service.cli.clients import connect
from jdobb_service.cli.options import AsJson, BackendUrl, Namespace, Url
from jdobb_service.cli.output import document
from jdobb_service.cli.views import print_stats


async def stats(
    *,
    as_json: AsJson = False,
    url: Url = None,
    backend_url: BackendUrl = None,
    namespace: Namespace = None,
) -> None:
    """Show how many jobs of each type are ready, running, delayed and ended.

    jdobb stats
    jdobb stats --json | jq .ready
    """
    async with connect(url, backend_url, namespace) as client:
        found = await client.stats()
    if as_json:
        document(found.model_dump(mode="json"))
    else:
        print_stats(found)
