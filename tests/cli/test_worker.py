"""``jdobb worker``: what it runs, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

from tests.cli.command import COMMAND, PATIENCE, Jdobb
from tests.cli.test_enqueue import DELAYED
from tests.support.logs import has_traceback
from tests.support.processes import UNHURRIED
from tests.support.waiting import until


def status_of(jdobb: Jdobb, job_id: str) -> str:
    return str(jdobb("get", job_id, "--json").json["status"])


def start_held(jdobb: Jdobb) -> str:
    """Enqueue a job that holds, and return its id once it runs."""
    job_id = jdobb("enqueue", "hold").out.strip()
    until(lambda: jdobb("get", job_id, "--json").json["message"] == "holding")
    return job_id


def test_burst_runs_what_is_ready_and_ends(jdobb: Jdobb):
    ids = [jdobb("enqueue", job_type).out.strip() for job_type in ("echo", "boom", "echo")]
    delayed = jdobb("enqueue", "echo", *DELAYED).out.strip()
    foreign = jdobb("enqueue", "unknown").out.strip()
    done = jdobb.process("worker", "jobs:router", "--burst")
    assert (done.code, done.out) == (0, "")
    assert [status_of(jdobb, job_id) for job_id in ids] == ["complete", "failed", "complete"]
    assert [status_of(jdobb, job_id) for job_id in (delayed, foreign)] == ["pending", "pending"]


def test_it_says_what_it_runs_and_where_the_jobs_are(jdobb: Jdobb):
    done = jdobb.process("worker", "jobs:router", "--burst", "--max-concurrent", "3")
    assert "runs echo, boom, hold, block with 3 slots" in done.err
    assert f"jobs are in sqlite:///{jdobb.folder / 'jdobb.db'}" in done.err
    assert all(json.loads(line) for line in done.err.splitlines() if line)


def test_log_lines_may_be_for_people_and_few(jdobb: Jdobb):
    words = ("worker", "jobs:router", "--burst")
    assert "[info" in jdobb.process(*words, "--log-format", "console").err
    assert jdobb.process(*words, "--log-level", "error").err == ""


def test_it_runs_only_the_types_that_are_named(jdobb: Jdobb):
    echo, boom = (jdobb("enqueue", job_type).out.strip() for job_type in ("echo", "boom"))
    jdobb.process("worker", "jobs:router", "--burst", "--type", "boom")
    assert (status_of(jdobb, echo), status_of(jdobb, boom)) == ("pending", "failed")


def test_it_runs_the_routers_of_several_modules(jdobb: Jdobb):
    jdobb.folder.joinpath("more.py").write_text(
        "from jdobb_async_queue import JobRouter\n"
        "router = JobRouter()\n"
        "@router.handler('more')\n"
        "async def more(ctx): return {'more': True}\n"
    )
    echo, more = (jdobb("enqueue", job_type).out.strip() for job_type in ("echo", "more"))
    assert jdobb.process("worker", "jobs", "more:router", "--burst").code == 0
    assert (status_of(jdobb, echo), status_of(jdobb, more)) == ("complete", "complete")


def test_two_handlers_of_one_type_are_refused(jdobb: Jdobb):
    jdobb.folder.joinpath("twice.py").write_text(
        "from jdobb_async_queue import JobRouter\n"
        "router = JobRouter()\n"
        "@router.handler('echo')\n"
        "async def echo(ctx): ...\n"
    )
    done = jdobb.process("worker", "jobs:router", "twice:router", "--burst")
    assert (done.code, done.out) == (2, "")
    assert "jdobb: job type 'echo' already has a handler\n" in done.err


def test_the_script_finds_modules_in_the_current_folder_too(jdobb: Jdobb):
    script = str(Path(COMMAND[0]).with_name("jdobb"))
    done = subprocess.run(
        [script, "worker", "jobs:router", "--burst"],
        check=False,
        cwd=jdobb.folder,
        env=jdobb.clean_environment({}),
        capture_output=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0


def test_a_signal_lets_running_jobs_finish(jdobb: Jdobb):
    with jdobb.start("worker", "jobs:router") as worker:
        worker.wait_for("runs echo")
        held = start_held(jdobb)
        worker.send(signal.SIGTERM)
        worker.wait_for("stopping; running jobs may finish")
        late = jdobb("enqueue", "echo").out.strip()
        jdobb.folder.joinpath(f"release-{held}").touch()
        done = worker.end()
    assert done.code == 0
    assert (status_of(jdobb, held), status_of(jdobb, late)) == ("complete", "pending")


def test_the_end_of_the_grace_gives_running_jobs_back(jdobb: Jdobb):
    with jdobb.start("worker", "jobs:router", "--shutdown-grace", "0.1", command=UNHURRIED) as worker:
        worker.wait_for("runs echo")
        held = start_held(jdobb)
        worker.send(signal.SIGINT)
        assert worker.end().code == 0
    job = jdobb("get", held, "--json").json
    assert (job["status"], job["failures"], job["losses"]) == ("pending", 0, 0)


def test_a_second_signal_gives_running_jobs_back_at_once(jdobb: Jdobb):
    with jdobb.start("worker", "jobs:router", command=UNHURRIED) as worker:
        worker.wait_for("runs echo")
        held = start_held(jdobb)
        worker.send(signal.SIGTERM)
        worker.wait_for("stopping")
        worker.send(signal.SIGTERM)
        done = worker.end()
    assert done.code == 143
    assert not has_traceback(done.err)
    job = jdobb("get", held, "--json").json
    assert (job["status"], job["failures"], job["losses"]) == ("pending", 0, 0)


def test_a_third_signal_ends_it_even_while_a_handler_holds_the_loop(jdobb: Jdobb):
    with jdobb.start("worker", "jobs:router") as worker:
        worker.wait_for("runs echo")
        blocking = jdobb("enqueue", "block").out.strip()
        until(jdobb.folder.joinpath(f"blocking-{blocking}").exists)
        while worker.process.poll() is None:
            worker.send(signal.SIGINT)
            time.sleep(0.02)
        done = worker.end()
    assert done.code == 130


def test_what_breaks_the_worker_itself_is_said_in_a_line(jdobb: Jdobb):
    jdobb.folder.joinpath("lifeless.py").write_text(
        "from contextlib import asynccontextmanager\n"
        "from jdobb_async_queue import JobRouter\n"
        "@asynccontextmanager\n"
        "async def lifespan():\n"
        "    raise RuntimeError('no database')\n"
        "    yield\n"
        "router = JobRouter(lifespan=lifespan)\n"
        "@router.handler('any')\n"
        "async def anything(ctx): ...\n"
    )
    done = jdobb.process("worker", "lifeless:router")
    assert done.code == 1
    assert done.err.endswith("jdobb: the worker ended by an error: RuntimeError: no database\n")
    assert not has_traceback(done.err)


def test_a_store_inside_one_process_is_refused(jdobb: Jdobb):
    done = jdobb.process("worker", "jobs:router", "--backend-url", "memory://")
    assert done.code == 2
    assert "lives inside one process only" in done.err


def test_numbers_out_of_range_are_refused(jdobb: Jdobb):
    done = jdobb("worker", "jobs:router", "--max-concurrent", "0")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("jdobb: max_concurrent: ")
