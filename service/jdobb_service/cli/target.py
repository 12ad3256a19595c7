"""From ``module:router`` on the command line to the routers."""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import sys
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from jdobb_service.cli.exits import ExitCode, Refusal
from jdobb_service.near import near

if TYPE_CHECKING:
    from jdobb_async_queue import JobRouter


def load_routers(targets: Sequence[str]) -> list[JobRouter]:
    """Return the routers that the targets name, each once, in order.

    A target is ``module:name`` (a ``JobRouter``, or a list of them), or ``module``: all its routers. The
    current directory is on the import path.
    """
    here = os.getcwd()  # noqa: PTH109 - an entry of sys.path is a string
    if not {"", here} & set(sys.path):
        sys.path.insert(0, here)
    found = [router for target in targets for router in _load(target)]
    return list({id(router): router for router in found}.values())


def _load(target: str) -> list[JobRouter]:
    name, colon, attribute = target.partition(":")
    is_path = os.sep in name or name.endswith(".py")
    if not is_path and ("" in name.split(".") or (colon and not attribute)):
        raise _unusable(target, "name a router as module:router, such as myapp.jobs:router")
    if is_path:
        dotted = name.removesuffix(".py").strip("./").replace(os.sep, ".")
        suggestion = f"{dotted}:{attribute or 'router'}"
        raise _unusable(target, f"name the module with dots: {suggestion}")
    module = _import(target, name)
    return _named(target, module, attribute) if attribute else _all(target, module)


def _import(target: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise _unusable(target, _unknown(name, error.name)) from error
        raise _unusable(target, f"{name} cannot be imported: {_where(error)}") from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a module may raise anything, SystemExit too
        raise _unusable(target, f"{name} cannot be imported: {_where(error)}") from error


def _named(target: str, module: ModuleType, attribute: str) -> list[JobRouter]:
    value: Any = module
    for step in attribute.split("."):
        if not hasattr(value, step):
            meant = near(step, [known for known, _ in _routers(module)] or dir(module))
            raise _unusable(target, f"{module.__name__} has no {attribute!r}{meant}")
        value = getattr(value, step)
    routers = list(value) if isinstance(value, list | tuple) else [value]
    for router in routers:
        if not _is_router(router):
            kind = type(router).__name__
            hint = ": declare its handlers in a JobRouter instead" if kind == "Worker" else ""
            raise _unusable(target, f"{attribute} is a {kind}, not a JobRouter{hint}")
    if not routers:
        raise _unusable(target, f"{attribute} is empty")
    return routers


def _all(target: str, module: ModuleType) -> list[JobRouter]:
    routers = [router for _, router in _routers(module)]
    if not routers:
        raise _unusable(target, f"{module.__name__} has no JobRouter")
    return routers


def _routers(module: ModuleType) -> list[tuple[str, JobRouter]]:
    return [(name, value) for name, value in vars(module).items() if _is_router(value)]


def _is_router(value: Any) -> bool:
    from jdobb_async_queue import JobRouter

    return isinstance(value, JobRouter)


def _unknown(name: str, missing: str) -> str:
    """Say which part of a dotted name is missing, and what is near it."""
    parent, dot, leaf = missing.rpartition(".")
    where: Iterable[str] | None = None
    if dot:
        package = sys.modules.get(parent)
        where = getattr(package, "__path__", None)
        if where is None:
            return f"there is no module {name}: {parent} is not a package"
    else:
        where = [os.getcwd()]  # noqa: PTH109 - pkgutil takes strings
    meant = near(leaf, _modules(where), prefix=f"{parent}." if dot else "")
    return f"there is no module {missing} here or on the import path{meant}"


def _modules(folders: Iterable[str]) -> list[str]:
    """Return the modules and packages in folders, also packages without ``__init__.py``."""
    listed = list(folders)
    names = [path.name for folder in listed for path in Path(folder).iterdir() if path.is_dir()]
    return [*(found.name for found in pkgutil.iter_modules(listed)), *filter(str.isidentifier, names)]


def _where(error: BaseException) -> str:
    """Return an error in one line, with the place of the user's code that raised it."""
    said = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
    if isinstance(error, SyntaxError):
        return text
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen") and frame.filename not in {__file__, importlib.__file__}
    ]
    return f"{text} ({frames[-1].filename}, line {frames[-1].lineno})" if frames else text


def _unusable(target: str, why: str) -> Refusal:
    return Refusal(ExitCode.USAGE, f"cannot use {target}: {why}")
