"""The types of source columns, as the warehouse says them: which changes cost nothing, and which are refused.

A column that still casts to what the SQL asks may yet mean something else: a text that was a number, a fraction that
was whole, a wall clock that was an instant. So a change of type is harmless, or somebody says in SQL how to read it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jobs.warehouse.extraction import SourceDiffers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SIGNED = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"})
_WHOLE = _SIGNED | {f"U{name}" for name in _SIGNED}
_TEXT = frozenset({"VARCHAR", "ENUM"})
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")


def harmless(before: str, now: str) -> bool:
    """Whether every value of the one type means exactly the same in the other; both as DuckDB spells them.

    A whole number of another width that does not fit its cast is refused by the cast. No fraction comes where there was
    none, for a cast would round it away.
    """
    pair = {before, now}
    alike = len(pair) == 1 or pair <= _WHOLE or pair <= _TEXT
    return alike or (before, now) == ("FLOAT", "DOUBLE") or _wider(before, now)


def _wider(before: str, now: str) -> bool:
    """Whether both are decimals, and the new one has at least the digits before and after the point."""
    old, new = _DECIMAL.fullmatch(before), _DECIMAL.fullmatch(now)
    if not (old and new):
        return False
    digits, places = (int(each) for each in old.groups())
    digits_now, places_now = (int(each) for each in new.groups())
    comes_to_fractions = places == 0 < places_now
    return digits_now - places_now >= digits - places and places_now >= places and not comes_to_fractions


def require_same_types(path: Path, taken: str, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Pass if every source column of the SQL file is of the type that it was of in the snapshot `taken`, or as exact.

    Raises:
        SourceDiffers: naming each that is not, by `table.column`, with both types.
    """
    both = sorted(before.keys() & now.keys())
    changed = [name for name in both if not harmless(before[name], now[name])]
    if changed:
        said = ", ".join(f"{name} is {now[name]} and was {before[name]}" for name in changed)
        raise SourceDiffers(
            f"{path}: the source column {said} in {taken}; put the type back, or release a further version of the SQL "
            "that says how to read it"
        )
