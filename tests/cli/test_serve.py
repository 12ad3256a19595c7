"""``jdobb serve``: its options arrive in the service; and watching over its restarts."""

from __future__ import annotations

import signal
import socket

import httpx
import pytest

from tests.cli.command import PERSISTENT, Jdobb
from tests.cli.terminal import CTRL_C, terminal
from tests.cli.test_dev import is_free
from tests.cli.test_enqueue import DELAYED
from tests.support.ports import free_port
from tests.support.waiting import WITHIN, until


def get(port: str, path: str) -> httpx.Response:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=WITHIN) as client:
        return client.get(path)


def test_it_serves_where_it_is_told_and_says_where(jdobb: Jdobb):
    port = str(free_port())
    with jdobb.start(
        "serve", "jobs:router", "--host", "127.0.0.1", "--port", port, "--namespace", "mine"
    ) as serving:
        serving.wait_for("runs echo")
        url = f"http://127.0.0.1:{port}"
        assert jdobb("enqueue", "echo", '{"n": 1}', "--wait", "--url", url).json == {"n": 1}
        serving.send(signal.SIGTERM)
        done = serving.end()
    assert done.code == 0
    assert f"jdobb serves {url}" in done.out
    assert str(jdobb.folder / "jdobb.db") in done.out
    assert len(jdobb("list", "--namespace", "mine", "--json").json["items"]) == 1


def test_without_workers_it_only_answers(jdobb: Jdobb):
    port = str(free_port())
    with jdobb.start("serve", "jobs:router", "--no-workers", "--port", port) as serving:
        serving.wait_for_port(port)
        worker = get(port, "/readyz").json()["worker"]
        assert jdobb("enqueue", "echo", "--url", f"http://127.0.0.1:{port}").code == 0
        serving.send(signal.SIGINT)
        assert serving.end().code == 0
    assert worker["enabled"] is False


def test_other_addresses_need_keys_or_a_clear_word(jdobb: Jdobb):
    port = str(free_port())
    everywhere = "0.0.0.0"  # noqa: S104 - that it is refused is the point
    words = ("serve", "--host", everywhere, "--port", port, "--backend-url", "memory://")
    refused = jdobb.process(*words)
    assert refused.code == 2
    assert "--allow-anonymous" in refused.err
    with jdobb.start(*words, "--allow-anonymous") as serving:
        serving.wait_for_port(port)
        assert get(port, "/livez").status_code == 200


def test_a_port_that_is_taken_ends_it_with_a_line(jdobb: Jdobb):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = jdobb.process("serve", "--port", port, "--backend-url", "memory://")
    assert done.code == 1
    assert f"jdobb: cannot listen on 127.0.0.1 port {port}" in done.err


@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_on_a_terminal_ends_it_and_leaves_the_terminal_as_it_was(jdobb: Jdobb, presses: int):
    port = str(free_port())
    with terminal(jdobb, "serve", "jobs:router", "--port", port, "--shutdown-grace", "600") as screen:
        before = screen.mode()
        screen.wait_for("runs echo")
        job_id = jdobb("enqueue", "hold", "--url", f"http://127.0.0.1:{port}").out.strip()
        until(lambda: jdobb("get", job_id, "--json").json["message"] == "holding")
        screen.type(CTRL_C)
        until(lambda: is_free(port))
        if presses > 1:
            screen.type(CTRL_C)
        else:
            jdobb.folder.joinpath(f"release-{job_id}").touch()
        assert screen.end() == 0
        assert screen.mode() == before
    assert "Traceback" not in screen.shown
    assert (jdobb("get", job_id, "--json").json["status"] == "complete") == (presses == 1)


def test_settings_that_cannot_be_used_are_refused(jdobb: Jdobb):
    done = jdobb("serve", "--port", "70000")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("jdobb: port: ")


def test_watching_and_waiting_go_on_over_a_restart_of_the_service(jdobb: Jdobb):
    port = str(free_port())
    words = ("serve", "jobs:router", "--port", port)
    url = ("--url", f"http://127.0.0.1:{port}")
    with jdobb.start(*words) as first:
        first.wait_for("runs echo")
        held = jdobb("enqueue", "hold", *url).out.strip()
        watching, waiting = (
            jdobb.start("watch", held, *url, command=PERSISTENT),
            jdobb.start(
                "enqueue", "later", *DELAYED, "--id", "later", "--wait", "--json", *url, command=PERSISTENT
            ),
        )
        with watching as watch, waiting as wait:
            assert watch.process.stdout is not None
            seen = watch.process.stdout.readline()
            wait.wait_for("job later")
            first.send(signal.SIGKILL)
            first.process.wait()
            with jdobb.start(*words) as second:
                second.wait_for("runs echo")
                jdobb("cancel", "later", *url)
                jdobb("cancel", held, *url)
                watched, waited = watch.end(), wait.end()
    updates = [seen, *watched.out.splitlines(keepends=True)]
    assert watched.code == 1
    assert len(updates) == len(set(updates))
    assert '"cancelled"' in updates[-1]
    assert (waited.code, waited.json["status"]) == (1, "cancelled")
