"""JSON Schemas of payloads: whether one can be used, and where a payload does not fit it.

Nothing is ever fetched, and no answer repeats a value of the payload. Work is counted: a schema that never
ends, or multiplies itself, is given up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import islice
from typing import Any

from jsonschema import (
    Draft4Validator,
    Draft6Validator,
    Draft7Validator,
    Draft201909Validator,
    Draft202012Validator,
)
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import extend
from referencing import Registry, Resource
from referencing import exceptions as unresolved
from referencing.jsonschema import specification_with

MAX_BYTES = 65_536
"""Bytes of JSON that a schema may have."""
QUICK, MOST = 3_000, 200_000
"""Keywords that are looked at before a check is long, and before it is given up."""

_MAX_PLACES = 50
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")

_DIALECTS: dict[str, Any] = {
    str(dialect.ID_OF(dialect.META_SCHEMA)).removesuffix("#"): dialect
    for dialect in (
        Draft4Validator,
        Draft6Validator,
        Draft7Validator,
        Draft201909Validator,
        Draft202012Validator,
    )
}

Path = tuple[str | int, ...]


class TooLong(Exception):  # noqa: N818 - reads as the fact that it states
    """A check took more steps than it may."""


class UnusableSchema(ValueError):  # noqa: N818 - reads as the fact that it states
    """A schema that no payload can be checked against; ``path`` is the place inside it."""

    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(detail)
        self.path, self.detail = path, detail


@dataclass(slots=True)
class _Steps:
    """How many more keywords a check may look at."""

    left: int

    def take(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise TooLong


_steps: ContextVar[_Steps] = ContextVar("steps")


class PayloadSchema:
    """A schema that was found usable. Raises ``UnusableSchema`` for another one.

    Without ``$schema`` it is of JSON Schema 2020-12. Formats are not checked.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        dialect = _dialect(schema)
        _check_form(dialect, schema, ())
        own = {name: value for name, value in schema.items() if name != "$schema"}
        _References(dialect, own).check()
        registry: Registry[Any] = Registry()
        self._validator = _counting(dialect)(own, registry=registry)
        try:
            self.places({}, QUICK)
        except TooLong:
            raise UnusableSchema((), "a check against it does not end") from None
        except Exception as error:
            raise UnusableSchema((), "cannot be evaluated") from error

    def places(self, data: Any, steps: int) -> list[tuple[Path, str]]:
        """Return where ``data`` does not fit and what is wrong there, at most 50 places.

        Raises ``TooLong`` after ``steps`` keywords.
        """
        token = _steps.set(_Steps(steps))
        try:
            return list(islice(_distinct(self._validator.iter_errors(data)), _MAX_PLACES))
        except RecursionError:
            raise TooLong from None
        finally:
            _steps.reset(token)


def _distinct(errors: Iterable[ValidationError]) -> Iterator[tuple[Path, str]]:
    seen: set[tuple[Path, str]] = set()
    for error in errors:
        for place in _explained(error):
            if place not in seen:
                seen.add(place)
                yield place


def _dialect(schema: dict[str, Any]) -> Any:
    named = schema.get("$schema")
    if named is None:
        return Draft202012Validator
    found = _DIALECTS.get(named.removesuffix("#")) if isinstance(named, str) else None
    if found is None:
        raise UnusableSchema(("$schema",), "is no version of JSON Schema that is known here")
    return found


def _check_form(dialect: Any, schema: Any, path: Path) -> None:
    form = dialect(dialect.META_SCHEMA, format_checker=dialect.FORMAT_CHECKER)
    try:
        error = best_match(form.iter_errors(schema))
    except RecursionError:
        raise UnusableSchema(path, "is nested too deep") from None
    if error is not None:
        place, detail = next(iter(_explained(error)))
        raise UnusableSchema((*path, *place), f"is not valid in a JSON Schema: {detail}")


class _References:
    """The references of a schema; all must lead to schemas inside it."""

    def __init__(self, dialect: Any, schema: dict[str, Any]) -> None:
        self._dialect, self._schema = dialect, schema
        self._specification = specification_with(dialect.ID_OF(dialect.META_SCHEMA))
        self._paths = {id(part): path for path, part in _parts(schema, ())}
        self._seen: set[int] = set()
        self._found: list[tuple[Any, Any, Path]] = []

    def check(self) -> None:
        """Raise ``UnusableSchema`` at the first one that leads elsewhere."""
        root = self._specification.create_resource(self._schema)
        registry: Registry[Any] = Registry()
        self._visit(root, registry.resolver_with_root(root))
        while self._found:
            self._follow(*self._found.pop())

    def _visit(self, resource: Resource[Any], resolver: Any) -> None:
        """Collect the references of a schema and of the schemas in it."""
        schema = resource.contents
        if not isinstance(schema, dict) or id(schema) in self._seen:
            return
        self._seen.add(id(schema))
        path = self._paths.get(id(schema), ())
        if isinstance(schema.get("$schema"), str):
            raise UnusableSchema((*path, "$schema"), "is for the whole schema only")
        for name in _REFERENCES:
            if name in schema:
                self._found.append((schema[name], resolver, (*path, name)))
        for part in resource.subresources():
            self._visit(part, resolver.in_subresource(part))

    def _follow(self, reference: Any, resolver: Any, path: Path) -> None:
        try:
            target = resolver.lookup(reference)
        except (unresolved.Unresolvable, unresolved.NoSuchResource, ValueError, TypeError, AttributeError):
            raise UnusableSchema(path, "leads to nothing inside this schema; nothing is fetched") from None
        if id(target.contents) not in self._seen:
            _check_form(self._dialect, target.contents, self._paths.get(id(target.contents), path))
            self._visit(self._specification.create_resource(target.contents), target.resolver)


def _parts(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict):
        yield path, value
        for name, part in value.items():
            yield from _parts(part, (*path, name))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _parts(part, (*path, index))


def _counting(dialect: Any) -> Any:
    """Return the dialect's validator, whose every keyword is a step."""
    keywords = {**dialect.VALIDATORS, "uniqueItems": _unique_items}
    counted = {name: _counted(keyword) for name, keyword in keywords.items()}
    return extend(dialect, counted)  # type: ignore[no-untyped-call]  # the stubs leave it untyped


def _counted(keyword: Callable[..., Iterable[ValidationError] | None]) -> Callable[..., Any]:
    def counted(*arguments: Any) -> Iterable[ValidationError] | None:
        _steps.get().take()
        return keyword(*arguments)

    return counted


def _unique_items(
    validator: Any, wanted: Any, instance: Any, _schema: dict[str, Any]
) -> Iterator[ValidationError]:
    """Do as the dialects do, in a time that grows with the length alone."""
    if not wanted or not validator.is_type(instance, "array"):
        return
    if len({_hashable(item) for item in instance}) != len(instance):
        yield ValidationError("has equal items")


def _hashable(value: Any) -> Any:
    if isinstance(value, dict):
        return frozenset((name, _hashable(item)) for name, item in value.items())
    if isinstance(value, list):
        return ("array", *map(_hashable, value))
    return ("boolean", value) if isinstance(value, bool) else value


def _explained(error: Any) -> Iterator[tuple[Path, str]]:
    """Yield the places of an error, in words that hold nothing of the payload but names."""
    path, keyword, wanted = tuple(error.absolute_path), str(error.validator), error.validator_value
    if keyword == "required" and isinstance(wanted, list):
        yield from (((*path, name), "required") for name in wanted if name not in error.instance)
    elif keyword == "additionalProperties" and wanted is False:
        yield from (((*path, name), "unknown field") for name in _extras(error.instance, error.schema))
    elif error.validator is None:  # a schema `false`, whose error does not know its last step
        yield path, "holds something that is not allowed"
    elif keyword == "type":
        kinds = wanted if isinstance(wanted, list) else [wanted]
        yield path, f"must be of the type {' or '.join(map(str, kinds))}"
    elif keyword in _LIMITS and isinstance(wanted, int | float):
        yield path, _LIMITS[keyword].format(f"{wanted:g}")
    else:
        yield path, _DETAILS.get(keyword, f"does not fit `{keyword}` of the schema")


def _extras(instance: dict[str, Any], schema: Any) -> Iterator[str]:
    patterns = schema.get("patternProperties", {})
    for name in instance:
        if name not in schema.get("properties", {}) and not any(re.search(p, name) for p in patterns):
            yield name


_LIMITS = {
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "exclusiveMinimum": "must be greater than {}",
    "exclusiveMaximum": "must be less than {}",
    "multipleOf": "must be a multiple of {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "minItems": "must have at least {} items",
    "maxItems": "must have at most {} items",
    "minProperties": "must have at least {} fields",
    "maxProperties": "must have at most {} fields",
}
_DETAILS = {
    "anyOf": "fits none of the alternatives",
    "const": "is not the one value that is allowed",
    "enum": "is none of the values that are allowed",
    "format": "has not the right form",
    "oneOf": "must fit exactly one of the alternatives",
    "pattern": "does not match the pattern",
    "uniqueItems": "has equal items",
}
