"""Options that several commands have in common: a command takes each group as one argument."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from jdobb_service.cli.options import (
    BackendUrl,
    CreatedAfter,
    CreatedBefore,
    Namespace,
    OnlyStatuses,
    OnlyTypes,
    Url,
    WithMetadata,
)


class OptionGroup:
    """A dataclass of options, each with its default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place(OptionGroup):
    """Where the jobs are."""

    url: Url = None
    backend_url: BackendUrl = None
    namespace: Namespace = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(OptionGroup):
    """Which jobs, instead of their ids, and how sure the person is."""

    status: OnlyStatuses = None
    job_type: OnlyTypes = None
    created_after: CreatedAfter = None
    created_before: CreatedBefore = None
    metadata: WithMetadata = None
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With a choice: only tell how many jobs it is about.")
    ] = False
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With a choice: do it without asking.")] = False

    @property
    def is_made(self) -> bool:
        """Tell whether jobs are chosen by what they are."""
        given = (self.status, self.job_type, self.created_after, self.created_before, self.metadata)
        return any(given)
