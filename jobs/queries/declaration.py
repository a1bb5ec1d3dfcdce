"""The declaration on top of an SQL file: what one row stands for, and by which clocks it is bounded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from jobs.queries.source import DeclarationRefused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FIELDS = ("grain", "role", "key", "event time", "known time", "known", "lookback")

_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_FIELD = re.compile(r"--\s*(?P<name>[^:]*?)\s*:\s*(?P<value>.*?)\s*")
_LOOKBACK = re.compile(r"(?P<days>[1-9][0-9]{0,3}) days?")


class Role(StrEnum):
    """What a source table is for; it decides the bounds of its rows."""

    HISTORY = "history"
    POPULATION = "population"
    LABELS = "labels"
    REFERENCE = "reference"


class Known(StrEnum):
    """How the warehouse comes to know a row: corrections are new rows, rows are overwritten, or it does not say."""

    APPENDED = "appended"
    REWRITTEN = "rewritten"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Declaration:
    """One table's: grain, role, key, and the names of the output columns that are its two clocks."""

    grain: str
    role: Role
    key: tuple[str, ...]
    event_time: str | None
    known_time: str | None
    known: Known
    lookback_days: int | None


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a declaration."""

    line: int
    value: str


def read_declaration(path: Path, text: str) -> Declaration:
    """The declaration of one SQL file.

    Raises:
        DeclarationRefused: with the first thing that is wrong with it.
    """
    declaration, refusals = examine_declaration(path, text)
    if declaration is None:
        raise refusals[0]
    return declaration


def examine_declaration(path: Path, text: str) -> tuple[Declaration | None, tuple[DeclarationRefused, ...]]:
    """The declaration, or everything that is wrong with it."""
    refusals = tuple(DeclarationRefused(path, line, reason) for line, reason in _faults(text))
    return (None if refusals else _declaration(declared_fields(text))), refusals


def declared_fields(text: str) -> Mapping[str, Field]:
    """Name to line and value, of the comment lines before the first other line; of duplicates the first."""
    fields: dict[str, Field] = {}
    for line, name, value in _lines(text):
        fields.setdefault(name, Field(line, value))
    return fields


def _lines(text: str) -> Iterator[tuple[int, str, str]]:
    """Line number, name and value; the name is empty where a comment is not of the form `-- name: value`."""
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.startswith("--"):
            return
        match = _FIELD.fullmatch(line)
        yield (number, match["name"], match["value"]) if match else (number, "", line)


def _declaration(fields: Mapping[str, Field]) -> Declaration:
    """The typed form of fields in which no fault was found."""
    lookback = _LOOKBACK.fullmatch(fields["lookback"].value) if "lookback" in fields else None
    return Declaration(
        grain=fields["grain"].value,
        role=Role(fields["role"].value),
        key=_names(fields["key"].value),
        event_time=fields["event time"].value if "event time" in fields else None,
        known_time=fields["known time"].value if "known time" in fields else None,
        known=Known(fields["known"].value),
        lookback_days=int(lookback["days"]) if lookback else None,
    )


def _names(value: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in value.split(","))


def _faults(text: str) -> Iterator[tuple[int, str]]:
    """Line and reason of everything that is wrong; contradictions only between fields that are right by themselves."""
    fields = declared_fields(text)
    if not fields:
        yield 1, f"no declaration; the file opens with comment lines `-- name: value` for {', '.join(FIELDS)}"
        return
    alone = [*_shape_faults(text, fields), *_value_faults(fields)]
    yield from alone or _contradictions(fields)


def _shape_faults(text: str, fields: Mapping[str, Field]) -> Iterator[tuple[int, str]]:
    for line, name, _ in _lines(text):
        if name not in FIELDS:
            found = f"unknown field `{name}`" if name else "a comment line that is not `-- name: value`"
            yield line, f"{found}; a declaration has {', '.join(FIELDS)}, a remark stands after an empty line"
        elif line != fields[name].line:
            yield line, f"duplicate field `{name}`, declared on line {fields[name].line} already; keep one"
    for name in ("grain", "role", "key", "known"):
        if name not in fields:
            yield 1, f"missing field `{name}`; add a line `-- {name}: ...`"


def _value_faults(fields: Mapping[str, Field]) -> Iterator[tuple[int, str]]:
    for name, choices in (("role", tuple(Role)), ("known", tuple(Known))):
        if name in fields and fields[name].value not in choices:
            yield fields[name].line, f"`{name}` is `{fields[name].value}`; it is one of {', '.join(choices)}"
    if "grain" in fields and not fields["grain"].value:
        yield fields["grain"].line, "`grain` is empty; say what one row stands for"
    for name in ("event time", "known time"):
        if name in fields and not _IDENTIFIER.fullmatch(fields[name].value):
            yield fields[name].line, f"`{name}` is `{fields[name].value}`; it is the name of one output column"
    if "key" in fields:
        yield from ((fields["key"].line, reason) for reason in _key_faults(_names(fields["key"].value)))
    if "lookback" in fields and not _LOOKBACK.fullmatch(fields["lookback"].value):
        yield fields["lookback"].line, f"`lookback` is `{fields['lookback'].value}`; write it as `90 days`"


def _key_faults(key: tuple[str, ...]) -> Iterator[str]:
    for name in key:
        if not _IDENTIFIER.fullmatch(name):
            yield f"`key` holds `{name}`; it is a list of output columns, separated by commas"
    if len(set(key)) != len(key):
        yield "`key` names a column twice; keep one"


def _contradictions(fields: Mapping[str, Field]) -> Iterator[tuple[int, str]]:
    role, known = Role(fields["role"].value), Known(fields["known"].value)
    for name, wanted, why in (
        ("event time", role is not Role.REFERENCE, f"role {role}"),
        ("lookback", role is Role.HISTORY, f"role {role}"),
        ("known time", known is not Known.NONE, f"known {known}"),
    ):
        if wanted and name not in fields:
            yield fields["role" if why.startswith("role") else "known"].line, f"{why} without `{name}`; declare it"
        elif name in fields and not wanted:
            yield fields[name].line, f"{why} with `{name}`; the two contradict each other, remove one"
    yield from _clash_of_clocks(fields, known)


def _clash_of_clocks(fields: Mapping[str, Field], known: Known) -> Iterator[tuple[int, str]]:
    known_time = fields.get("known time")
    if known_time is None:
        return
    if "event time" in fields and fields["event time"].value == known_time.value:
        yield known_time.line, f"`{known_time.value}` is event time and known time; they are two clocks, two columns"
    if known is Known.APPENDED and known_time.value in _names(fields["key"].value):
        yield (
            known_time.line,
            f"`{known_time.value}` is in the key of an appended table; it tells versions of a row apart, not rows",
        )
