"""All that is wrong with a TOML file whose reader stops at the first: that is mended, and the file read again."""

from __future__ import annotations

import tomllib
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Protocol

from jobs.authoring.problems import Problem, parted
from models.parameter_file import line_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_MOST = 100


class Refusal(Protocol):
    """A refusal that says of which entries it is, by their dotted names; none if it is of the whole file."""

    entries: tuple[str, ...]


def read_all[T](
    path: Path,
    text: str,
    read: Callable[[dict[str, Any]], T],
    refused: type[Exception],
    stand_ins: Mapping[str, object],
) -> tuple[T | None, tuple[Problem, ...]]:
    """What a file says, or all that its reader refuses.

    An entry that was refused is replaced by one of `stand_ins`, or taken out; the reader goes on to the next.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return None, (_not_toml(path, text, error),)
    left, problems = deepcopy(document), dict[Problem, None]()
    for _ in range(_MOST):
        try:
            found = read(left)
        except refused as error:
            before = deepcopy(left)
            problems[_problem(path, text, error)] = None
            for entry in getattr(error, "entries", ()):
                _mend(left, entry, stand_ins)
            if left == before:
                return None, tuple(problems)
        else:
            return (None if problems else found), tuple(problems)
    return None, tuple(problems)


def _mend(document: dict[str, Any], entry: str, stand_ins: Mapping[str, object]) -> None:
    """Put something in the place of an entry that its reader takes, or nothing."""
    *tables, name = entry.split(".")
    within = document
    for depth, table in enumerate(tables, start=1):
        inner = _inside(within, table)
        if inner is None:
            _mend(document, ".".join(tables[:depth]), stand_ins)
            return
        within = inner
    if tables and tables[-1].endswith("]") and name == "name":
        within[name] = f"stand_in_{tables[-1].partition('[')[2].rstrip(']')}"
    elif entry in stand_ins and within.get(name) != stand_ins[entry]:
        within[name] = deepcopy(stand_ins[entry])
    else:
        within.pop(name, None)


def _inside(within: dict[str, Any], table: str) -> dict[str, Any] | None:
    """A table in another, or one of an array, as `members[0]`; null if there is none."""
    name, _, place = table.partition("[")
    found = within.get(name)
    if place and isinstance(found, list):
        found = found[int(place.rstrip("]"))]
    return found if isinstance(found, dict) else None


def _problem(path: Path, text: str, error: Exception) -> Problem:
    """A refusal at the line of the entry that it is of; its message begins with the file, and perhaps with a line."""
    entries = getattr(error, "entries", ())
    table, _, name = (entries[0] if entries else "").rpartition(".")
    said = " ".join(str(error).split()).removeprefix(str(path))
    number, mark, rest = said.removeprefix(":").partition(": ")
    line = int(number) if mark and number.isdecimal() else line_of(text, name, table) if name else 0
    what, to_do = parted(rest if mark and (not number or number.isdecimal()) else said.lstrip(": "))
    return Problem(str(path), line, what, to_do)


def _not_toml(path: Path, text: str, error: tomllib.TOMLDecodeError) -> Problem:
    line = getattr(error, "lineno", None) or _line_said(str(error)) or text.count("\n") + 1
    return Problem(str(path), line, f"it is no TOML: {error}", "correct it")


def _line_said(message: str) -> int | None:
    _, _, after = message.partition("at line ")
    number = after.partition(",")[0]
    return int(number) if number.isdecimal() else None
