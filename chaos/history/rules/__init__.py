"""The invariants, each a function that finds what breaks it in a history.

A rule accuses only where no order of the events that the observers could not see would excuse: a call took
effect somewhere between ``asked_at`` and ``at``, and one without an answer perhaps. Attempts and updates are
ordered by their numbers, which the store gave, rather than by anybody's clock.
"""

from collections.abc import Callable, Iterator

from chaos.history.jobs import History, JobHistory
from chaos.history.rules import attempts, claims, ends, keys, starts, updates
from chaos.history.rules.violation import Violation

JOB_RULES: tuple[Callable[[History, JobHistory], Iterator[Violation]], ...] = (
    ends.no_acknowledged_job_is_lost,
    starts.everything_executed_was_enqueued,
    ends.terminal_statuses_are_final,
    starts.nothing_starts_after_the_end,
    ends.at_most_one_completion_is_accepted,
    claims.accepted_calls_carry_the_latest_token,
    claims.two_claims_never_live_at_once,
    starts.no_handler_starts_on_a_lease_that_ran_out,
    starts.second_starts_are_explained,
    starts.cancelled_handlers_are_told,
    attempts.failures_and_losses_are_bounded,
    attempts.every_attempt_is_accounted_for,
    claims.nothing_is_claimed_early,
    ends.complete_jobs_have_their_accepted_result,
    updates.updates_grow_and_end,
)
RULES: tuple[Callable[[History], Iterator[Violation]], ...] = (
    claims.tokens_are_issued_once,
    keys.one_job_for_each_key,
    keys.one_live_job_for_each_unique_key,
    ends.the_backlog_drains,
)

__all__ = ["JOB_RULES", "RULES", "Violation"]
