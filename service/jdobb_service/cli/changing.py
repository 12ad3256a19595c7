"""Changing the jobs that options choose: how many they are, whether that is meant, and step by step."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from jdobb_service.cli.clients.base import JobFilter
from jdobb_service.cli.exits import ExitCode, Refusal, refusal_of
from jdobb_service.cli.hints import tell_of_absent_types
from jdobb_service.cli.interrupts import Steps, read_blocking
from jdobb_service.cli.options import instant, pairs
from jdobb_service.cli.output import document, note, print_data
from jdobb_service.schemas.bulk import Action, BulkRefusal, BulkResult

if TYPE_CHECKING:
    from jdobb_service.cli.clients.base import Client
    from jdobb_service.cli.option_groups import Choice

_DONE: dict[Action, str] = {"cancel": "cancelled", "retry": "ready again", "delete": "deleted"}
_NAMED = 20
"""Refusals that are told one by one."""


async def change_chosen(client: Client, action: Action, choice: Choice, *, as_json: bool) -> int:
    """Change the jobs, once it is sure that this is meant; return the exit code."""
    wanted = filter_of(choice)
    if choice.dry_run:
        expected = await client.change(action, wanted, dry_run=True)
        if not expected.matched:
            await tell_of_absent_types(client, wanted.job_types)
        return _tell_expected(action, expected, as_json=as_json)
    if not choice.yes:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            message = f"say --yes to {action} the jobs that options choose; --dry-run tells how many they are"
            raise Refusal(ExitCode.USAGE, message)
        expected = await client.change(action, wanted, dry_run=True)
        if expected.matched and not _is_meant(action, expected):
            note("nothing was changed")
            return ExitCode.FAILED
    result = await _change_all(client, action, wanted)
    if not result.matched:
        await tell_of_absent_types(client, wanted.job_types)
    return _tell_done(action, result, as_json=as_json)


def filter_of(choice: Choice) -> JobFilter:
    """Return the filter that the options make."""
    return JobFilter(
        statuses=[status.value for status in choice.status or ()],
        job_types=choice.job_type or (),
        created_after=instant(choice.created_after, "--created-after"),
        created_before=instant(choice.created_before, "--created-before"),
        metadata=pairs(choice.metadata, "--metadata"),
    )


async def _change_all(client: Client, action: Action, wanted: JobFilter) -> BulkResult:
    """Change jobs until none is left, or no more can be changed; say what is done if it ends before that."""
    done, failed = 0, dict[str, BulkRefusal]()
    with Steps() as steps:
        try:
            while True:
                step = await steps.finish(client.change(action, wanted, dry_run=False))
                done += step.done
                failed |= {refusal.id: refusal for refusal in step.failed}
                if not step.more or not step.done:
                    break
                steps.go_on()
        except KeyboardInterrupt:
            note(f"stopped: {_so_far(action, done, is_sure=not steps.is_abandoned)}")
            raise
        except Exception as error:
            refusal = refusal_of(error)
            if not done and not refusal.in_doubt:
                raise
            message = f"{refusal}\n{_so_far(action, done, is_sure=not refusal.in_doubt)}"
            raise Refusal(refusal.code, message) from error
    return BulkResult(matched=done + len(failed), done=done, failed=list(failed.values()), more=step.more)


def _so_far(action: Action, done: int, *, is_sure: bool) -> str:
    unsure = "" if is_sure else ", and perhaps some more"
    return f"{_sentence(action, done)}{unsure}; the same command goes on with the rest"


def _is_meant(action: Action, expected: BulkResult) -> bool:
    sys.stderr.write(f"{action} {_number(expected)}? [y/N] ")
    sys.stderr.flush()
    return read_blocking(sys.stdin.readline).strip().lower() in {"y", "yes"}


def _tell_expected(action: Action, expected: BulkResult, *, as_json: bool) -> int:
    if as_json:
        document(expected.model_dump(mode="json"))
    else:
        print_data(f"{_number(expected)} would be {_DONE[action]}")
    return ExitCode.OK


def _tell_done(action: Action, result: BulkResult, *, as_json: bool) -> int:
    if as_json:
        document(result.model_dump(mode="json"))
    else:
        print_data(_sentence(action, result.done))
    for refusal in result.failed[:_NAMED]:
        note(f"jdobb: job {refusal.id} was left as it is: {refusal.code}")
    if len(result.failed) > _NAMED:
        note(f"jdobb: {len(result.failed) - _NAMED} more were left as they are")
    return ExitCode.CONFLICT if result.failed else ExitCode.OK


def _sentence(action: Action, done: int) -> str:
    return f"{_jobs(done)} {'is' if done == 1 else 'are'} {_DONE[action]}"


def _number(found: BulkResult) -> str:
    return f"{found.matched} or more jobs" if found.more else _jobs(found.matched)


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count} jobs"
