"""A parameter file's text: what to call it, and on which line something stands.

Only the standard library is imported here (see `models.parameters`).
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass


class ParametersRefused(ValueError):
    """A parameter file says something that is not allowed; `path:line: reason`. `entries` are what is refused."""

    def __init__(self, message: str, *entries: str) -> None:
        super().__init__(message)
        self.entries = entries


@dataclass(frozen=True)
class Source:
    """A parameter file: what to call it, and its text; without a text, no line of it can be named."""

    path: str
    text: str

    def refusal(self, key: str, reason: str, table: str = "") -> ParametersRefused:
        """What to raise of `key` in a table; a table of an array is called by its place, `members[0]`."""
        if not self.text:
            return ParametersRefused(f"{self.path}: {reason}")
        entry = f"{table}.{key}" if table else key
        return ParametersRefused(f"{self.path}:{line_of(self.text, key, table)}: {reason}", entry)

    def check(self, key: str, value: object, expected: str | None, table: str = "") -> None:
        """Refuse `key` if it is missing, or if something else was expected."""
        if value is None:
            raise self.refusal(key, f"`{key}` is missing; it should be {expected}", table)
        if expected is not None:
            raise self.refusal(key, f"`{key}` is {value!r}; it should be {expected}", table)


def line_of(text: str, key: str, table: str = "") -> int:
    """Find the line that sets `key` in `table`, else names it there, else opens the table, else names it; else 1."""
    lines = tuple(_lines(text))
    setting = rf"""\s*["']?{re.escape(key)}["']?\s*[=.]"""
    set_here = [number for number, inside, line in lines if inside == table and re.match(setting, line)]
    named = [
        (number, inside)
        for number, inside, line in lines
        if re.search(rf"\b{re.escape(key)}\b", line.partition("#")[0])
    ]
    named_here = [number for number, inside in named if inside.startswith(table)]
    opened = [number for number, inside, _ in lines if table and inside == table]
    return next(iter([*set_here, *named_here, *opened, *(number for number, _ in named)]), 1)


def _lines(text: str) -> Iterator[tuple[int, str, str]]:
    """Each line with its number and the table that it stands in."""
    inside, seen = "", Counter[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]", line)
        if header:
            inside = header[2].strip("\"'")
            seen[inside] += header[1] == "[["
            first, dot, rest = inside.partition(".")
            inside = f"{first}[{seen[first] - 1}]{dot}{rest}" if seen[first] else inside
        yield number, inside, line
