"""``module:router``: what can be named, and what is said when it cannot."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from jdobb_async_queue import JobRouter
from jdobb_service.cli.exits import Refusal
from jdobb_service.cli.target import load_routers
from tests.cli.command import Jdobb

HEAD = "from jdobb_async_queue import JobQueue, JobRouter, Worker\n"
MODULES = {
    "several.py": HEAD + "one, two = JobRouter(), JobRouter()\nagain = one\nboth = [one, two]\nempty = []\n",
    "package/__init__.py": "",
    "package/inner.py": HEAD + "class Group:\n    router = JobRouter()\nrouter = JobRouter()\nnumber = 3\n",
    "namespace/jobs.py": HEAD + "router = JobRouter()\n",
    "plain.py": "answer = 42\n",
    "needy.py": "import absent_library\n",
    "broken.py": "\n\nanswer = 1 / 0\n",
    "misspelt.py": "def (\n",
    "leaving.py": "raise SystemExit(3)\n",
    "worker.py": HEAD + "worker = Worker(JobQueue())\n",
}


@pytest.fixture(autouse=True)
def _in_a_folder_with_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in MODULES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    for name in MODULES:
        for module in (
            name.partition("/")[0].removesuffix(".py"),
            name.removesuffix(".py").replace("/", "."),
        ):
            monkeypatch.delitem(sys.modules, module, raising=False)


@pytest.mark.parametrize(
    ("targets", "count"),
    [
        (["several:one"], 1),
        (["several"], 2),
        (["several:both"], 2),
        (["several:one", "several:again", "several"], 2),
        (["package.inner:router"], 1),
        (["package.inner:Group.router"], 1),
        (["namespace.jobs:router", "several:two"], 2),
        ([], 0),
    ],
)
def test_routers_are_found_each_once(targets: list[str], count: int):
    routers = load_routers(targets)
    assert len(routers) == count
    assert all(isinstance(router, JobRouter) for router in routers)


NO_MODULE = "there is no module {} here or on the import path; did you mean {}?"


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("severall:one", NO_MODULE.format("severall", "several")),
        ("namespac.jobs:router", NO_MODULE.format("namespac", "namespace")),
        ("package.iner:router", NO_MODULE.format("package.iner", "package.inner")),
        ("plain.deeper:router", "there is no module plain.deeper: plain is not a package"),
        ("several:onee", "several has no 'onee'; did you mean one?"),
        ("package.inner:Group.routr", "package.inner has no 'Group.routr'; did you mean router?"),
        ("several:empty", "empty is empty"),
        ("plain", "plain has no JobRouter"),
        ("package.inner:number", "number is a int, not a JobRouter"),
        ("worker:worker", "worker is a Worker, not a JobRouter: declare its handlers in a JobRouter instead"),
        ("needy", "needy cannot be imported: ModuleNotFoundError: No module named 'absent_library'"),
        ("broken", "broken cannot be imported: ZeroDivisionError: division by zero"),
        ("misspelt", "misspelt cannot be imported: SyntaxError: "),
        ("leaving", "leaving cannot be imported: SystemExit: 3"),
        ("several:", "name a router as module:router"),
        (":router", "name a router as module:router"),
        ("..several", "name a router as module:router"),
        ("package/inner.py:router", "name the module with dots: package.inner:router"),
        ("./several.py", "name the module with dots: several:router"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_line_with_what_is_near(target: str, complaint: str):
    with pytest.raises(Refusal) as refusal:
        load_routers([target])
    assert refusal.value.code == 2
    assert str(refusal.value).startswith(f"cannot use {target}: ")
    assert complaint in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_an_error_in_a_module_is_placed_in_the_module():
    with pytest.raises(Refusal, match=r"division by zero \(.*broken\.py, line 3\)"):
        load_routers(["broken"])


@pytest.mark.parametrize("command", ["worker", "serve"])
def test_commands_refuse_in_one_line_and_show_the_traceback_on_demand(tmp_path: Path, command: str):
    jdobb = Jdobb(tmp_path)
    done = jdobb.process(command, "broken")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("jdobb: cannot use broken: ")
    assert done.err.count("\n") == 1
    debugged = jdobb.process(command, "broken", "--debug")
    assert debugged.code == 2
    assert "Traceback" in debugged.err
    assert "ZeroDivisionError" in debugged.err
