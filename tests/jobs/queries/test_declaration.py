"""A declaration is complete and free of contradictions, or refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.queries.declaration import Declaration, Known, Role, examine_declaration, read_declaration
from jobs.queries.source import DeclarationRefused, QueryRefused

PATH = Path("sql/job/outcomes_v1.sql")

HISTORY = """\
-- grain: one outcome of one flight: the last word
-- role: history
-- key: flight, origin
-- event time: dep_at
-- known time: known_at
-- known: appended
-- lookback: 28 days

-- grain: a remark after an empty line is none of the declaration
SELECT 1
"""


def test_a_declaration_is_read_field_by_field() -> None:
    assert read_declaration(PATH, HISTORY) == Declaration(
        grain="one outcome of one flight: the last word",
        role=Role.HISTORY,
        key=("flight", "origin"),
        event_time="dep_at",
        known_time="known_at",
        known=Known.APPENDED,
        lookback_days=28,
    )


def test_a_reference_needs_neither_clock_nor_lookback() -> None:
    text = "-- known: none\n-- key: tailnum\n-- role: reference\n-- grain: one aircraft\n"

    assert read_declaration(PATH, text) == Declaration(
        "one aircraft", Role.REFERENCE, ("tailnum",), None, None, Known.NONE, None
    )


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("-- grain: one o", "SELECT 1\n-- grain: one o", 1, "no declaration"),
        ("-- lookback: 28 days", "-- lookback: 28 days\n-- owner: ops", 8, "unknown field `owner`"),
        ("-- role: history", "-- Role: history", 2, "unknown field `Role`"),
        ("-- lookback: 28 days", "-- 28 days", 7, "a comment line that is not `-- name: value`"),
        (
            "-- lookback: 28 days",
            "-- lookback: 28 days\n-- key: origin",
            8,
            "duplicate field `key`, declared on line 3",
        ),
        ("-- grain: one outcome of one flight: the last word\n", "", 1, "missing field `grain`"),
        ("-- role: history\n", "", 1, "missing field `role`"),
        ("-- key: flight, origin\n", "", 1, "missing field `key`"),
        ("-- known: appended\n", "", 1, "missing field `known`"),
        ("one outcome of one flight: the last word", "", 1, "`grain` is empty"),
        ("-- role: history", "-- role: future", 2, "`role` is `future`"),
        ("-- known: appended", "-- known: perhaps", 6, "`known` is `perhaps`"),
        ("flight, origin", "flight,, origin", 3, "`key` holds ``"),
        ("flight, origin", "flight, Origin", 3, "`key` holds `Origin`"),
        ("flight, origin", "flight, flight", 3, "`key` names a column twice"),
        ("dep_at", "dep at", 4, "`event time` is `dep at`"),
        ("28 days", "28", 7, "`lookback` is `28`"),
        ("28 days", "0 days", 7, "`lookback` is `0 days`"),
        ("28 days", "\u0662\u0668 days", 7, "`lookback` is"),
        ("-- event time: dep_at\n", "", 2, "role history without `event time`"),
        ("-- lookback: 28 days\n", "", 2, "role history without `lookback`"),
        ("-- known time: known_at\n", "", 5, "known appended without `known time`"),
        ("-- known: appended", "-- known: none", 5, "known none with `known time`"),
        ("-- role: history", "-- role: population", 7, "role population with `lookback`"),
        ("-- role: history", "-- role: labels", 7, "role labels with `lookback`"),
        ("-- role: history", "-- role: reference", 4, "role reference with `event time`"),
        ("known time: known_at", "known time: dep_at", 5, "`dep_at` is event time and known time"),
        ("known time: known_at", "known time: origin", 5, "`origin` is in the key of an appended table"),
    ],
)
def test_each_fault_is_refused_on_its_line(old: str, new: str, line: int, reason: str) -> None:
    assert HISTORY.count(old) == 1

    _, refusals = examine_declaration(PATH, HISTORY.replace(old, new))

    assert [refused.line for refused in refusals if reason in refused.reason] == [line], refusals


def test_a_refusal_says_path_line_and_reason() -> None:
    with pytest.raises(DeclarationRefused) as caught:
        read_declaration(PATH, HISTORY.replace("history", "future"))

    assert isinstance(caught.value, QueryRefused)
    assert str(caught.value) == (
        "sql/job/outcomes_v1.sql:2: `role` is `future`; it is one of history, population, labels, reference"
    )
