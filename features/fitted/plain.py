"""Plain data, and its JSON: what a transform was declared with and what it learnt come back as they were, to the bit.

Integers stay integers and floats floats (the shortest text that gives back the same float); a day is `{"date": ...}`.
"""

from __future__ import annotations

from datetime import date

type Plain = int | float | str | bool | date | tuple[Plain, ...] | None
type Json = int | float | str | bool | list[Json] | dict[str, Json] | None


def to_json(value: Plain) -> Json:
    """The data as JSON values."""
    if isinstance(value, tuple):
        return [to_json(each) for each in value]
    return {"date": value.isoformat()} if isinstance(value, date) else value


def from_json(value: object) -> Plain:
    """The data that `to_json` gave.

    Raises:
        ValueError: if it gave none such.
    """
    if isinstance(value, list):
        return tuple(from_json(each) for each in value)
    if isinstance(value, dict) and list(value) == ["date"] and isinstance(value["date"], str):
        return date.fromisoformat(value["date"])
    if value is None or isinstance(value, int | float | str | bool):
        return value
    raise ValueError("neither number, text, truth value, day, list nor null")
