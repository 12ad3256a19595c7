from __future__ import annotations

import pytest

from jdobb_async_queue import JobQueue
from jdobb_async_queue.backends.memory import MemoryBackend
from jdobb_async_queue.backends.urls import backend_of_url


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("memory://", "memory"),
        ("sqlite:///jobs.db", "sqlite"),
        ("sqlite:////var/jobs.db", "sqlite"),
        ("sqlite:///:memory:", "sqlite"),
        ("redis://localhost:6379/0", "redis"),
        ("rediss://host", "redis"),
    ],
)
def test_a_urls_scheme_names_its_backend(url, name):
    assert backend_of_url(url) == name


@pytest.mark.parametrize("url", ["", "jobs.db", "sqlite:jobs.db", "/var/jobs.db"])
def test_what_is_no_url_is_refused(url):
    with pytest.raises(ValueError, match="url must look like"):
        backend_of_url(url)


def test_an_unknown_scheme_is_an_unknown_backend():
    with pytest.raises(ValueError, match="Unknown backend: postgres"):
        backend_of_url("postgres://host/db")


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="Unknown backend: mongo"):
        JobQueue("mongo")


@pytest.mark.parametrize("url", ["redis+cluster://host", "redis+sentinel://host"])
def test_cluster_and_sentinel_come_later(url):
    with pytest.raises(ValueError, match="scale-out release"):
        JobQueue.from_url(url)


@pytest.mark.parametrize(
    ("backend", "url"), [("memory", "sqlite:///x.db"), ("sqlite", "redis://host"), ("redis", "memory://")]
)
def test_a_url_of_another_backend_is_refused(backend, url):
    with pytest.raises(ValueError, match=f"not to {backend}"):
        JobQueue(backend, url=url)


def test_a_refusal_keeps_the_credentials_to_itself():
    for make in (
        lambda: JobQueue("memory", url="redis://user:hunter2@host"),
        lambda: JobQueue.from_url("user:hunter2@host"),
    ):
        with pytest.raises(ValueError, match="url") as refused:
            make()
        assert "hunter2" not in str(refused.value)


def test_a_backend_may_be_brought_ready_made():
    backend = MemoryBackend()

    assert JobQueue(backend).backend is backend
    with pytest.raises(ValueError, match="url must be None"):
        JobQueue(backend, url="memory://")


def test_a_ready_made_backend_brings_its_namespace():
    assert JobQueue(MemoryBackend(namespace="reports")).namespace == "reports"
    assert JobQueue(MemoryBackend()).namespace == "default"
    with pytest.raises(ValueError, match=r"^namespace belongs into the backend instance.*'reports'"):
        JobQueue(MemoryBackend(), namespace="reports")


@pytest.mark.parametrize("url", ["memory://", "sqlite:///:memory:"])
def test_a_namespace_goes_to_the_backend_that_a_url_makes(url):
    queue = JobQueue.from_url(url, namespace="reports")

    assert queue.namespace == queue.backend.namespace == "reports"


def test_memory_is_the_default():
    assert JobQueue().backend.name == JobQueue.from_url("memory://").backend.name == "memory"
