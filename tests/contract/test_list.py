"""Lists: orders, filters, and cursors that neither miss nor repeat."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta, timezone

import pytest

from jdobb_async_queue import InvalidCursor, Job, JobQueue, JobStatus, NewJob
from jdobb_async_queue.backends.base import ListQuery
from tests.support.jobs import claim_job, claim_order, make_in_state, make_job, start_job, sweep


async def pages(queue: JobQueue, limit: int = 3, **filters) -> list[list[Job]]:
    """Read a whole list, page by page."""
    found = []
    page = await queue.list_jobs(limit=limit, **filters)
    while True:
        found.append(page.items)
        if page.next_cursor is None:
            return found
        page = await queue.list_jobs(limit=limit, cursor=page.next_cursor, **filters)


async def ids(queue: JobQueue, limit: int = 200, **filters) -> list[str]:
    return [job.id for page in await pages(queue, limit, **filters) for job in page]


class TestOrder:
    async def test_an_empty_queue_has_an_empty_page(self, queue):
        page = await queue.list_jobs()

        assert (page.items, page.next_cursor) == ([], None)

    async def test_without_a_status_the_newest_comes_first(self, queue, clock):
        made = []
        for state in ("complete", "processing", "delayed", "pending"):
            made.append((await make_in_state(queue, state)).id)
            clock.advance(1)

        assert await ids(queue) == made[::-1]

    async def test_jobs_of_the_same_instant_come_in_reverse_enqueue_order(self, queue):
        made = [await queue.enqueue("email", job_id=name) for name in ("b", "c", "a")]

        assert await ids(queue) == made[::-1]

    async def test_pending_jobs_come_in_claim_order(self, queue, clock):
        await queue.enqueue("email", priority="low")
        await queue.enqueue("email", delay=5)
        await queue.enqueue("email")
        clock.advance(1)
        await queue.enqueue("report", priority="high")
        await queue.enqueue("email")

        listed = await ids(queue, status="pending")

        clock.advance(10)
        assert listed == await claim_order(queue)

    async def test_processing_jobs_come_latest_start_first(self, queue, clock):
        first, second, third = [await queue.enqueue("email", priority=p) for p in ("low", "normal", "high")]
        for _ in range(3):
            await claim_job(queue, lease=1000)
            clock.advance(1)

        assert await ids(queue, status="processing") == [first, second, third]

    @pytest.mark.parametrize("status", ["complete", "failed", "cancelled"])
    async def test_terminal_jobs_come_latest_finish_first(self, queue, clock, status):
        started = [await start_job(queue) for _ in range(3)]
        for job in (started[1], started[2], started[0]):
            clock.advance(1)
            if status == "complete":
                await queue.complete(job.id)
            elif status == "failed":
                await queue.fail(job.id, "boom")
            else:
                await queue.cancel(job.id)

        assert await ids(queue, status=status) == [started[0].id, started[2].id, started[1].id]

    async def test_jobs_that_finished_at_the_same_instant_have_an_order_too(self, queue):
        for _ in range(7):
            await make_in_state(queue, "complete")

        listed = await ids(queue, limit=2, status="complete")

        assert listed == await ids(queue, status="complete")
        assert len(set(listed)) == 7


class TestFilters:
    @pytest.fixture
    async def made(self, queue, clock) -> dict[str, Job]:
        jobs = {}
        for job_type in ("email", "report"):
            for state in ("complete", "failed", "cancelled", "processing", "delayed", "pending"):
                options = {"metadata": {"state": state, "n": 1}}
                jobs[f"{job_type}-{state}"] = await make_in_state(queue, state, job_type, **options)
                clock.advance(1)
        return jobs

    async def test_by_status(self, queue, made):
        assert sorted(await ids(queue, status="pending", limit=1)) == sorted(
            made[name].id for name in made if name.endswith(("pending", "delayed"))
        )
        assert await ids(queue, status=JobStatus.FAILED) == [
            made["report-failed"].id,
            made["email-failed"].id,
        ]

    async def test_by_several_statuses_newest_first(self, queue, made):
        expected = [
            made[f"{job_type}-{state}"].id
            for job_type in ("report", "email")
            for state in ("failed", "complete")
        ]

        assert await ids(queue, status=["complete", JobStatus.FAILED], limit=1) == expected

    async def test_by_job_type(self, queue, made):
        assert await ids(queue, job_type="email", limit=2) == [
            job.id for name, job in reversed(made.items()) if name.startswith("email")
        ]

    async def test_by_several_job_types(self, queue, made):
        assert await ids(queue, job_type=["email", "report", "nothing"]) == [
            job.id for job in reversed(made.values())
        ]
        assert await ids(queue, job_type=["nothing"]) == []

    @pytest.mark.parametrize(
        "filters", [{"status": []}, {"job_type": []}, {"status": (), "job_type": "email"}]
    )
    async def test_an_empty_list_matches_no_job(self, queue, made, filters):
        page = await queue.list_jobs(**filters)

        assert (page.items, page.next_cursor) == ([], None)

    @pytest.mark.parametrize(
        "filters", [{"statuses": ()}, {"job_types": ()}, {"statuses": ("pending",), "job_types": ()}]
    )
    async def test_a_backend_takes_an_empty_list_the_same_way(self, queue, made, filters):
        page = await queue.backend.list_jobs(ListQuery(**filters))

        assert (page.records, page.last) == ([], None)

    async def test_by_status_and_job_type(self, queue, made):
        assert await ids(queue, status="complete", job_type="report") == [made["report-complete"].id]

    async def test_by_creation_strictly_between(self, queue, made):
        jobs = list(made.values())

        after = await ids(queue, created_after=jobs[3].created_at)
        before = await ids(queue, created_before=jobs[3].created_at)
        both = await ids(queue, created_after=jobs[2].created_at, created_before=jobs[4].created_at)

        assert after == [job.id for job in jobs[:3:-1]]
        assert before == [job.id for job in jobs[2::-1]]
        assert both == [jobs[3].id]

    async def test_by_creation_to_the_microsecond(self, queue, made):
        jobs, microsecond = list(made.values()), timedelta(microseconds=1)

        after = await ids(queue, created_after=jobs[3].created_at - microsecond)
        before = await ids(queue, created_before=jobs[3].created_at + microsecond)

        assert after == [job.id for job in jobs[:2:-1]]
        assert before == [job.id for job in jobs[3::-1]]

    async def test_by_metadata(self, queue, made):
        assert await ids(queue, metadata={"state": "failed"}) == [
            made["report-failed"].id,
            made["email-failed"].id,
        ]
        assert await ids(queue, metadata={"state": "failed", "n": "1"}, job_type="email") == [
            made["email-failed"].id
        ]
        assert await ids(queue, metadata={"state": "failed", "n": "2"}) == []
        assert await ids(queue, metadata={"missing": "1"}) == []

    @pytest.mark.parametrize(
        ("stored", "asked"),
        [(1, "1"), (1.5, "1.5"), (True, "true"), (None, "null"), ("true", "true"), ("", "")],
    )
    async def test_metadata_values_are_asked_for_as_text(self, queue, stored, asked):
        job = await make_job(queue, metadata={"key": stored})
        await make_job(queue, metadata={"key": "other"})

        assert await ids(queue, metadata={"key": asked}) == [job.id]

    @pytest.mark.parametrize("key", ["a.b", "a b", 'a"b', "a'b", "$", "é", "", "[0]"])
    async def test_metadata_keys_are_plain_text(self, queue, key):
        job = await make_job(queue, metadata={key: "x"})
        await make_job(queue, metadata={"a": {"b": "x"}, "ab": "x"})

        assert await ids(queue, metadata={key: "x"}) == [job.id]

    async def test_listed_jobs_are_whole(self, queue, made):
        listed = {job.id: job for job in (await queue.list_jobs()).items}

        for job in made.values():
            assert listed[job.id] == await queue.get(job.id)

    async def test_a_rare_match_is_found_over_short_and_empty_pages(self, queue):
        rare = await make_job(queue, metadata={"rare": "yes"})
        await queue.enqueue_many([NewJob(job_type="email", metadata={"rare": "no"})] * 1000)
        await queue.enqueue_many([NewJob(job_type="email", metadata={"rare": "no"})] * 1000)

        found = await pages(queue, limit=10, metadata={"rare": "yes"})

        assert [job.id for page in found for job in page] == [rare.id]
        assert len(found) > 1  # one call examines a bounded number of jobs

    async def test_a_rare_match_is_found_in_a_status_too(self, queue):
        rare = await make_job(queue, metadata={"rare": "yes"})
        for _ in range(2):
            await queue.enqueue_many(
                [NewJob(job_type="email", metadata={"rare": "no"}, priority="high")] * 1000
            )

        assert await ids(queue, limit=10, status="pending", metadata={"rare": "yes"}) == [rare.id]


class TestCursors:
    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 200])
    @pytest.mark.parametrize("status", [None, "pending"])
    async def test_pages_are_complete_and_without_repeats(self, queue, limit, status):
        made = [await queue.enqueue("email", priority=p) for p in ("low", "high", "normal") * 7]

        listed = await ids(queue, limit=limit, status=status)

        assert sorted(listed) == sorted(made)
        assert listed == await ids(queue, status=status)

    async def test_a_page_has_at_most_its_limit_and_only_the_last_lacks_a_cursor(self, queue):
        for _ in range(7):
            await queue.enqueue("email")

        assert [len(page) for page in await pages(queue, 3) if page] == [3, 3, 1]

    @pytest.mark.parametrize("status", [None, "pending", "processing", "complete"])
    async def test_jobs_whose_place_stays_are_listed_once_while_others_change(self, queue, clock, status):
        for _ in range(12):
            await make_in_state(queue, status or "pending", "stay")
            await make_in_state(queue, status or "pending", "move")
            clock.advance(1)
        everything = {"status": status, "limit": 2}
        staying = await ids(queue, status=status, job_type="stay")
        moving = await ids(queue, status=status, job_type="move")
        seen: list[str] = []
        page = await queue.list_jobs(**everything)
        while True:
            seen += [job.id for job in page.items if job.job_type == "stay"]
            if moving:
                gone = moving.pop(len(moving) // 2)
                await queue.cancel(gone)
                await queue.delete(gone)
            await make_in_state(queue, "complete", "new", priority="high")
            await make_in_state(queue, "processing", "new")
            await queue.enqueue("newer", priority="low")
            if page.next_cursor is None:
                break
            page = await queue.list_jobs(cursor=page.next_cursor, **everything)

        assert seen == staying

    async def test_a_cursor_survives_the_removal_of_the_job_it_stands_on(self, queue):
        made = [await queue.enqueue("email") for _ in range(4)]
        first = await queue.list_jobs(limit=2)
        await queue.cancel(made[2])
        await queue.delete(made[2])

        rest = await queue.list_jobs(limit=5, cursor=first.next_cursor)

        assert [job.id for job in rest.items] == [made[1], made[0]]

    async def test_a_cursor_may_be_used_again_and_with_another_limit(self, queue):
        made = [await queue.enqueue("email") for _ in range(6)]
        cursor = (await queue.list_jobs(limit=2)).next_cursor

        for limit in (1, 4, 4):
            page = await queue.list_jobs(limit=limit, cursor=cursor)
            assert [job.id for job in page.items] == made[3::-1][:limit]

    @pytest.mark.parametrize(
        "cursor",
        ["", "x", "%%%", "é", "AAAA", base64.urlsafe_b64encode(b"[]").decode(), "W" * 5000, "bnVsbA", 5],
        ids=["empty", "short", "percent", "accent", "zeros", "list", "long", "null", "number"],
    )
    async def test_what_no_list_gave_out_is_refused(self, queue, cursor):
        with pytest.raises(InvalidCursor):
            await queue.list_jobs(cursor=cursor)

    async def test_a_cursor_of_a_list_with_other_filters_is_refused(self, queue):
        for _ in range(3):
            await queue.enqueue("email")
        cursor = (await queue.list_jobs(limit=1)).next_cursor

        for filters in (
            {"status": "pending"},
            {"job_type": "email"},
            {"created_after": datetime(2020, 1, 1, tzinfo=timezone.utc)},
            {"created_before": datetime(2040, 1, 1, tzinfo=timezone.utc)},
            {"metadata": {"a": "b"}},
        ):
            with pytest.raises(InvalidCursor):
                await queue.list_jobs(cursor=cursor, **filters)

    @pytest.mark.parametrize("status", [None, "pending", "complete"])
    async def test_a_forged_cursor_is_refused(self, queue, status):
        for _ in range(3):
            await make_in_state(queue, status or "complete")
        cursor = (await queue.list_jobs(status, limit=1)).next_cursor
        version, filters, *last = json.loads(base64.urlsafe_b64decode(cursor + "=="))

        for parts in (
            [version, filters],
            [version, filters, *last, 1],
            [version, filters, *["x" for _ in last]],
            [version, filters, *[1.5 for _ in last]],
            [version, filters, *[None for _ in last]],
            [version, filters, *[2**80 for _ in last]],
            [version + 1, filters, *last],
        ):
            forged = base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")
            with pytest.raises(InvalidCursor):
                await queue.list_jobs(status, cursor=forged)


class TestArguments:
    @pytest.mark.parametrize("limit", [0, -1, 201, 10**30])
    async def test_a_limit_out_of_bounds_is_refused(self, queue, limit):
        with pytest.raises(ValueError, match="limit"):
            await queue.list_jobs(limit=limit)

    @pytest.mark.parametrize("limit", ["5", 5.0, True, None])
    async def test_a_limit_of_another_kind_is_refused(self, queue, limit):
        with pytest.raises(TypeError, match="limit"):
            await queue.list_jobs(limit=limit)

    @pytest.mark.parametrize(
        ("argument", "value"),
        [
            ("status", "done"),
            ("status", ["pending", "done"]),
            ("job_type", "no blanks"),
            ("job_type", [""]),
            ("created_after", datetime(2030, 1, 1)),  # noqa: DTZ001 - a naive one is the test
            ("created_before", datetime(2030, 1, 1)),  # noqa: DTZ001 - likewise
        ],
    )
    async def test_a_bad_filter_is_named(self, queue, argument, value):
        with pytest.raises(ValueError, match=argument):
            await queue.list_jobs(**{argument: value})

    @pytest.mark.parametrize(
        ("argument", "value"),
        [
            ("status", 5),
            ("job_type", 5),
            ("job_type", [5]),
            ("created_after", "2030-01-01"),
            ("created_before", 5),
            ("metadata", {"a": 1}),
            ("metadata", {1: "a"}),
            ("metadata", "a=b"),
        ],
    )
    async def test_a_filter_of_another_kind_is_named(self, queue, argument, value):
        with pytest.raises(TypeError, match=argument):
            await queue.list_jobs(**{argument: value})

    async def test_a_filter_is_text_and_nothing_else(self, queue):
        job = await make_job(queue, metadata={"quote'": "x' OR '1'='1", "%": "_"})
        await make_job(queue, metadata={"quote'": "other", "%": "a"})

        assert await ids(queue, metadata={"quote'": "x' OR '1'='1"}) == [job.id]
        assert await ids(queue, metadata={"%": "_"}) == [job.id]


async def test_a_swept_job_moves_between_the_lists(queue, clock):
    job = await start_job(queue, lease=1)
    clock.advance(1)
    await sweep(queue)

    assert await ids(queue, status="processing") == []
    assert await ids(queue, status="pending") == [job.id]
    assert (await queue.list_jobs("pending")).items[0].updated_at == clock.time
    assert clock.time - job.started_at == timedelta(seconds=1)
