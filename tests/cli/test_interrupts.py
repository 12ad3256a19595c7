"""Ctrl-C, readers that leave and services that go away: what is done then, and what is said of it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from jdobb_service.cli.clients.changing import STEP
from tests.cli.command import PATIENCE, Jdobb, Running
from tests.cli.terminal import CTRL_C, terminal
from tests.cli.test_enqueue import DELAYED
from tests.support.ports import free_port
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

CHUNK = 10
IN_SMALL_CHUNKS = [
    sys.executable,
    "-c",
    f"""from jdobb_service.cli import job_lines
job_lines.CHUNK_JOBS = {CHUNK}
from jdobb_service.cli import main
main()""",
]
STOPPING = "stopping after the step under way (Ctrl-C again stops at once)"
GO_ON = (
    f"{CHUNK} jobs are stored, up to line {CHUNK}, and nothing after it: go on with `tail -n +{CHUNK + 1}`\n"
)


def lines(count: int) -> str:
    return "".join(f'{{"n": {number}}}\n' for number in range(count))


def count(place: Jdobb, job_type: str) -> int:
    return int(place("cancel", "--type", job_type, "--dry-run", "--json").json["matched"])


@contextlib.contextmanager
def fed(place: Jdobb, *words: str, text: str) -> Iterator[Running]:
    """Run the command beside the block with a text on standard input, to which more might come."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*IN_SMALL_CHUNKS, *words],
        cwd=place.folder,
        env=place.clean_environment({}),
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        text=True,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(text)
        process.stdin.flush()
        try:
            yield Running(process)
        finally:
            if process.poll() is None:
                process.kill()


def take_ids(command: Running) -> list[str]:
    """Read the ids of one chunk."""
    assert command.process.stdout is not None
    return [command.process.stdout.readline().strip() for _ in range(CHUNK)]


@contextlib.asynccontextmanager
async def hanging(service: Jdobb) -> AsyncIterator[tuple[Jdobb, Proxy]]:
    """Yield the command at a service through a proxy that lets nothing pass for now."""
    port = int(service.environment["JDOBB_URL"].rpartition(":")[2])
    async with Proxy(port) as proxy:
        proxy.fall_silent()
        yield Jdobb(service.folder, {"JDOBB_URL": f"http://127.0.0.1:{proxy.port}"}), proxy


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["enqueue", "read", "-"], "reading the data from the terminal"),
        (["enqueue", "read", "--ndjson", "-"], "reading jobs from the terminal"),
        (["cancel", "--type", "asked"], "cancel 1 job? [y/N]"),
    ],
)
def test_ctrl_c_ends_what_reads_from_the_terminal(jdobb: Jdobb, words: list[str], asked: str):
    jdobb("enqueue", "asked", *DELAYED, "--id", "asked")
    with terminal(jdobb, *words) as screen:
        before = screen.mode()
        screen.wait_for(asked)
        screen.type(CTRL_C)
        assert screen.end() == 130
        assert screen.mode() == before
    assert "Traceback" not in screen.shown
    assert (count(jdobb, "read"), count(jdobb, "asked")) == (0, 1)


def test_ctrl_c_while_lines_come_says_how_many_are_stored_and_where_to_go_on(
    place: Jdobb, new_id: Callable[[], str]
):
    name = new_id()
    with fed(place, "enqueue", name, "--ndjson", "-", *DELAYED, text=lines(CHUNK + 5)) as storing:
        take_ids(storing)
        storing.send(signal.SIGINT)
        done = storing.end()
    assert (done.code, done.err) == (130, f"stopped: {GO_ON}")
    assert count(place, name) == CHUNK


async def test_ctrl_c_lets_the_chunk_under_way_be_stored(service: Jdobb, new_id: Callable[[], str]):
    name = new_id()
    words = ("enqueue", name, "--ndjson", "-", *DELAYED)
    async with hanging(service) as (place, proxy):
        with fed(place, *words, text=lines(CHUNK + 5)) as storing:
            await eventually(lambda: proxy.accepted == 1)
            storing.send(signal.SIGINT)
            await asyncio.to_thread(storing.wait_for, STOPPING)
            proxy.heal()
            done = await asyncio.to_thread(storing.end)
    assert (done.code, done.err) == (130, f"{STOPPING}\nstopped: {GO_ON}")
    assert len(done.out.split()) == await asyncio.to_thread(count, service, name) == CHUNK


async def test_ctrl_c_twice_abandons_the_chunk_and_says_that_it_is_in_doubt(
    service: Jdobb, new_id: Callable[[], str]
):
    async with hanging(service) as (place, proxy):
        with fed(place, "enqueue", new_id(), "--ndjson", "-", text=lines(CHUNK + 5)) as storing:
            await eventually(lambda: proxy.accepted == 1)
            storing.send(signal.SIGINT)
            await asyncio.to_thread(storing.wait_for, STOPPING)
            storing.send(signal.SIGINT)
            done = await asyncio.to_thread(storing.end)
    assert (done.code, done.out) == (130, "")
    assert f"stopped: it is not known whether lines 1 to {CHUNK} are stored" in done.err


async def test_ctrl_c_while_jobs_are_changed_ends_it_after_the_step(
    service: Jdobb, new_id: Callable[[], str]
):
    name = new_id()
    words = ("enqueue", name, "--ndjson", "-", *DELAYED)
    assert (await asyncio.to_thread(service.process, *words, stdin=lines(STEP + 5))).code == 0
    async with hanging(service) as (place, proxy):
        with place.start("cancel", "--type", name, "--yes") as changing:
            await eventually(lambda: proxy.accepted == 1)
            changing.send(signal.SIGINT)
            await asyncio.to_thread(changing.wait_for, STOPPING)
            proxy.heal()
            done = await asyncio.to_thread(changing.end)
    said = f"stopped: {STEP} jobs are cancelled; the same command goes on with the rest"
    assert (done.code, done.out, done.err) == (130, "", f"{STOPPING}\n{said}\n")
    assert await asyncio.to_thread(count, service, name) == 5


async def test_ctrl_c_twice_while_jobs_are_changed_leaves_some_in_doubt(service: Jdobb):
    async with hanging(service) as (place, proxy):
        with place.start("cancel", "--type", "many", "--yes") as changing:
            await eventually(lambda: proxy.accepted == 1)
            changing.send(signal.SIGINT)
            await asyncio.to_thread(changing.wait_for, STOPPING)
            changing.send(signal.SIGINT)
            done = await asyncio.to_thread(changing.end)
    assert (done.code, done.out) == (130, "")
    assert done.err.endswith(
        "0 jobs are cancelled, and perhaps some more; the same command goes on with the rest\n"
    )


@pytest.mark.parametrize(
    "words", [["watch", "{id}"], ["enqueue", "later", "--wait"], ["enqueue", "later", "--watch"]]
)
def test_ctrl_c_while_it_only_looks_says_that_the_job_goes_on(place: Jdobb, words: list[str]):
    job_id = place("enqueue", "later", *DELAYED).out.strip()
    more = DELAYED if "later" in words else ()
    with terminal(place, *(word.format(id=job_id) for word in words), *more) as screen:
        screen.wait_for("job " if "--wait" in words else "pending")
        before = screen.mode()
        screen.type(CTRL_C)
        assert screen.end() == 130
        assert screen.mode() == before
    assert "goes on" in screen.shown
    assert "Traceback" not in screen.shown


async def test_an_answer_that_is_lost_leaves_lines_in_doubt(service: Jdobb, new_id: Callable[[], str]):
    async with hanging(service) as (place, proxy):
        proxy.heal()
        proxy.lose_replies(marker=b"POST")
        done = await asyncio.to_thread(
            place.process, "enqueue", new_id(), "--ndjson", "-", *DELAYED, stdin=lines(3)
        )
    assert (done.code, done.out) == (5, "")
    assert done.err.startswith("jdobb: cannot reach the service at ")
    assert done.err.endswith(
        "it is not known whether lines 1 to 3 are stored; ids make it safe to repeat them\n"
    )


async def test_an_answer_that_is_lost_leaves_changes_in_doubt(service: Jdobb, new_id: Callable[[], str]):
    async with hanging(service) as (place, proxy):
        proxy.heal()
        proxy.lose_replies(marker=b"POST")
        done = await asyncio.to_thread(place.process, "cancel", "--type", new_id(), "--yes")
    assert (done.code, done.out) == (5, "")
    assert done.err.endswith(
        "0 jobs are cancelled, and perhaps some more; the same command goes on with the rest\n"
    )


def test_a_service_that_goes_away_while_lines_come(jdobb: Jdobb):
    port = str(free_port())
    jdobb.environment["JDOBB_URL"] = f"http://127.0.0.1:{port}"
    with jdobb.start("serve", "--backend-url", "memory://", "--port", port) as server:
        server.wait_for_port(port)
        with fed(jdobb, "enqueue", "x", "--ndjson", "-", *DELAYED, text=lines(CHUNK + 5)) as storing:
            take_ids(storing)
            server.send(signal.SIGKILL)
            server.process.wait(PATIENCE)
            assert storing.process.stdin is not None
            storing.process.stdin.close()
            done = storing.end()
    assert (done.code, done.out) == (5, "")
    assert done.err.startswith("jdobb: cannot reach the service at ")
    assert done.err.endswith(f"\n{GO_ON}")


def test_a_reader_that_leaves_ends_it_with_what_is_stored(place: Jdobb, new_id: Callable[[], str]):
    name = new_id()
    with fed(place, "enqueue", name, "--ndjson", "-", *DELAYED, text=lines(CHUNK)) as storing:
        assert storing.process.stdout is not None
        storing.process.stdout.close()
        assert storing.process.stdin is not None
        storing.process.stdin.close()
        code = storing.process.wait(PATIENCE)
    assert code == 141
    assert storing.err == f"stopped: {GO_ON}"
    assert count(place, name) == CHUNK
