"""The exit codes that scripts rely on, each from a real process, at a store and at a service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from jdobb_service.keys import new_key
from tests.cli.command import Done, Jdobb
from tests.cli.test_enqueue import DELAYED
from tests.support.ports import free_port


def is_one_line(done: Done) -> bool:
    return done.err.startswith("jdobb: ") and done.err.count("\n") == 1


def test_0_when_all_went_well(place: Jdobb):
    assert place.process("enqueue", "echo", "{}", "--wait").code == 0


def test_1_when_the_job_failed(place: Jdobb):
    assert place.process("enqueue", "boom", "--wait").code == 1


def test_2_for_arguments_that_cannot_be_used(place: Jdobb):
    done = place.process("enqueue", "not a type")
    assert done.code == 2
    assert is_one_line(done)


def test_3_for_an_unknown_job(place: Jdobb):
    done = place.process("get", "nobody")
    assert done.code == 3
    assert is_one_line(done)


def test_4_for_a_conflict(place: Jdobb, new_id: Callable[[], str]):
    job_id = new_id()
    place("enqueue", "later", *DELAYED, "--id", job_id)
    done = place.process("enqueue", "other", "--id", job_id)
    assert done.code == 4
    assert is_one_line(done)


def test_5_for_a_store_that_cannot_be_opened(jdobb: Jdobb):
    jdobb.folder.joinpath("jobs.db").write_text("words, which are no database, however many there are")
    done = jdobb.process("get", "x", "--backend-url", "sqlite:///jobs.db")
    assert done.code == 5
    assert is_one_line(done)
    assert "jdobb doctor" in done.err


def test_5_for_a_service_that_does_not_answer(jdobb: Jdobb):
    done = jdobb.process("get", "x", "--url", f"http://127.0.0.1:{free_port()}")
    assert done.code == 5
    assert is_one_line(done)
    assert "jdobb doctor" in done.err


@pytest.fixture
def stranger() -> Iterator[str]:
    """Return the address of something that speaks HTTP and is no jdobb service."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404 if self.path == "/jobs/404" else 200)
            self.end_headers()
            self.wfile.write(b"[]" if self.path == "/jobs/json" else b"<html>hello")

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("job_id", ["404", "200", "json"])
def test_5_for_something_that_is_no_service(jdobb: Jdobb, stranger: str, job_id: str):
    done = jdobb("get", job_id, "--url", stranger)
    assert (done.code, done.out) == (5, "")
    assert is_one_line(done)


def test_6_without_a_key_with_a_wrong_one_and_with_one_that_may_not(jdobb: Jdobb):
    key, secret = new_key("writer", ("enqueue",))
    port = str(free_port())
    url = f"http://127.0.0.1:{port}"
    with jdobb.start(
        "serve", "--backend-url", "memory://", "--port", port, JDOBB_API_KEYS=str(key)
    ) as service:
        service.wait_for_port(port)
        assert jdobb("enqueue", "later", "--url", url, JDOBB_API_KEY=secret).code == 0
        nobody = jdobb.process("get", "x", "--url", url)
        assert nobody.code == 6
        assert "JDOBB_API_KEY" in nobody.err
        assert jdobb("get", "x", "--url", url, JDOBB_API_KEY="wrong").code == 6
        reading = jdobb("get", "x", "--url", url, JDOBB_API_KEY=secret)
        assert reading.code == 6
        assert "'read'" in reading.err


def test_a_key_that_is_no_key_is_refused_before_it_is_sent(jdobb: Jdobb):
    done = jdobb("get", "x", "--url", "http://127.0.0.1:1", JDOBB_API_KEY="two words")
    assert done.code == 2
    assert "two words" not in done.err


def test_7_when_the_time_is_up(place: Jdobb):
    assert place.process("enqueue", "later", *DELAYED, "--wait", "--wait-timeout", "0.1").code == 7


def test_70_for_a_defect_of_the_command_itself(jdobb: Jdobb, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("jdobb_service.cli.commands.jobs.connect", lambda *_: 1 / 0)
    done = jdobb("get", "x")
    assert (done.code, done.out) == (70, "")
    assert "this is a defect of jdobb: ZeroDivisionError" in done.err
    assert "Traceback" not in done.err
    assert "Traceback" in jdobb("get", "x", "--debug").err
