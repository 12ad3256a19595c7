"""``jdobb dev``: serving while the code changes, and how it ends."""

from __future__ import annotations

import contextlib
import signal
import socket

import httpx
import pytest

from tests.cli.command import Jdobb
from tests.cli.terminal import CTRL_C, terminal
from tests.support.ports import free_port
from tests.support.waiting import WITHIN, until

STOPPING = "stopping; running jobs may finish"


@pytest.fixture
def port(jdobb: Jdobb) -> str:
    """Return a free port, which the command uses for its jobs too."""
    chosen = str(free_port())
    jdobb.environment["JDOBB_PORT"] = chosen
    return chosen


def url_of(port: str) -> str:
    return f"http://127.0.0.1:{port}"


def is_free(port: str) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(port)), 1):
        return False
    return True


def start_held(jdobb: Jdobb, port: str) -> str:
    """Enqueue a job that holds, and return its id once it runs."""
    place = ("--url", url_of(port))
    job_id = jdobb("enqueue", "hold", *place).out.strip()
    until(lambda: jdobb("get", job_id, "--json", *place).json["message"] == "holding")
    return job_id


def test_it_serves_dashboard_documents_and_jobs_and_says_how_to_begin(jdobb: Jdobb, port: str):
    with jdobb.start("dev", "jobs:router") as dev:
        dev.wait_for("runs echo")
        assert jdobb("enqueue", "echo", '{"n": 1}', "--wait", "--url", url_of(port)).json == {"n": 1}
        with httpx.Client(base_url=url_of(port), timeout=WITHIN) as browser:
            pages = [browser.get(path, follow_redirects=True) for path in ("/", "/docs")]
        dev.send(signal.SIGINT)
        done = dev.end()
    assert [page.status_code for page in pages] == [200, 200]
    assert done.code == 0
    assert f"jdobb serves {url_of(port)} (dashboard: {url_of(port)}/, docs: {url_of(port)}/docs)" in done.out
    assert f"curl {url_of(port)}/jobs -H 'Content-Type: application/json' -d " in done.out
    assert '"job_type": "echo"' in done.out
    assert "\x1b" not in done.out + done.err
    assert jdobb.folder.joinpath("jdobb.db").exists()


def test_a_change_of_the_code_counts_from_then_on_and_an_error_in_it_is_shown(jdobb: Jdobb, port: str):
    module = jdobb.folder / "jobs.py"
    sound = module.read_text()
    with jdobb.start("dev", "jobs:router") as dev:
        dev.wait_for("runs echo")
        module.write_text(f"{sound}\ndef (\n")
        dev.wait_for("cannot use jobs:router: jobs cannot be imported: SyntaxError: ")
        dev.wait_for("waiting for a change of the code")
        module.write_text(sound.replace("return ctx.data", 'return {"says": "new"}'))
        url = ("--url", url_of(port))
        assert jdobb("enqueue", "echo", "--wait", *url).json == {"says": "new"}
        dev.send(signal.SIGTERM)
        done = dev.end()
    assert done.code == 0
    assert "Traceback" not in done.err
    assert "jobs.py changed: starting anew" in done.err


def test_it_begins_with_an_error_too_and_debug_shows_where(jdobb: Jdobb, port: str):
    module = jdobb.folder / "jobs.py"
    sound = module.read_text()
    module.write_text("answer = 1 / 0\n")
    with jdobb.start("dev", "jobs:router", "--debug") as dev:
        dev.wait_for("ZeroDivisionError")
        dev.wait_for("waiting for a change of the code")
        module.write_text(sound)
        dev.wait_for("runs echo")
        dev.send(signal.SIGINT)
        done = dev.end()
    assert done.code == 0
    assert "Traceback" in done.err


def test_a_change_gives_running_jobs_back_to_be_run_by_the_new_code(jdobb: Jdobb, port: str):
    module = jdobb.folder / "jobs.py"
    with jdobb.start("dev", "jobs:router", "--shutdown-grace", "0.1") as dev:
        dev.wait_for("runs echo")
        held = start_held(jdobb, port)
        module.write_text(module.read_text().replace('"held": True', '"held": "by the new code"'))
        dev.wait_for("jobs.py changed")
        jdobb.folder.joinpath(f"release-{held}").touch()
        assert jdobb("watch", held, "--url", url_of(port)).documents[-1]["results"] == {
            "held": "by the new code"
        }


def test_ctrl_c_lets_running_jobs_finish(jdobb: Jdobb, port: str):
    with terminal(jdobb, "dev", "jobs:router") as screen:
        before = screen.mode()
        screen.wait_for("runs echo")
        held = start_held(jdobb, port)
        screen.type(CTRL_C)
        screen.wait_for(STOPPING)
        jdobb.folder.joinpath(f"release-{held}").touch()
        assert screen.end() == 0
        assert screen.mode() == before
    assert "Traceback" not in screen.shown
    assert jdobb("get", held, "--json").json["status"] == "complete"
    assert is_free(port)


def test_ctrl_c_twice_ends_at_once_whatever_holds_it_and_leaves_nothing_behind(jdobb: Jdobb, port: str):
    with terminal(jdobb, "dev", "jobs:router") as screen:
        before = screen.mode()
        screen.wait_for("runs echo")
        blocking = jdobb("enqueue", "block", "--url", url_of(port)).out.strip()
        until(jdobb.folder.joinpath(f"blocking-{blocking}").exists)
        screen.type(CTRL_C)
        screen.wait_for(STOPPING)
        screen.type(CTRL_C)
        assert screen.end() == 130
        assert screen.mode() == before
    assert "Traceback" not in screen.shown
    until(lambda: is_free(port))


def test_ctrl_c_ends_it_while_it_waits_for_a_sound_module(jdobb: Jdobb, port: str):
    jdobb.folder.joinpath("jobs.py").write_text("def (\n")
    with terminal(jdobb, "dev", "jobs:router") as screen:
        screen.wait_for("waiting for a change of the code")
        screen.type(CTRL_C)
        assert screen.end() == 0
    assert is_free(port)


def test_the_service_ends_with_a_command_that_is_killed(jdobb: Jdobb, port: str):
    with jdobb.start("dev", "jobs:router") as dev:
        dev.wait_for("runs echo")
        dev.send(signal.SIGKILL)
        dev.process.wait()
        until(lambda: is_free(port))


def test_a_port_that_is_taken_ends_it_with_the_remedy(jdobb: Jdobb):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = jdobb.process("dev", "jobs:router", "--port", port)
    assert (done.code, done.out) == (1, "")
    assert f"cannot listen on 127.0.0.1 port {port}" in done.err
    assert "--port takes another one" in done.err


def test_a_change_of_the_settings_counts_and_an_error_in_them_is_shown(jdobb: Jdobb, port: str):
    settings = jdobb.folder / "jdobb.toml"
    with jdobb.start("dev", "jobs:router", JDOBB_LOG_FORMAT="console") as dev:
        dev.wait_for("runs echo")
        settings.write_text("leese = 5\n")
        dev.wait_for("jdobb.toml changed: starting anew")
        dev.wait_for("no setting has the name 'leese'; did you mean lease?")
        dev.wait_for("waiting for a change of the code or the settings")
        jdobb.folder.joinpath("pyproject.toml").write_text("[project]\n")
        settings.write_text("max_payload_bytes = 10\n")
        place = ("--url", url_of(port))
        until(lambda: jdobb("enqueue", "echo", '{"text": "long enough"}', *place).code == 2)
        dev.send(signal.SIGINT)
        done = dev.end()
    assert done.code == 0
    assert "pyproject.toml" not in done.err


def test_a_new_port_counts_from_the_next_start(jdobb: Jdobb):
    port, other = str(free_port()), str(free_port())
    settings = jdobb.folder / "jdobb.toml"
    settings.write_text(f"port = {port}\n")
    with jdobb.start("dev", "jobs:router") as dev:
        dev.wait_for_port(port)
        settings.write_text(f"port = {other}\n")
        dev.wait_for(f"port {other} counts when jdobb dev is started again; until then it is {port}")
        dev.wait_for_port(port)
