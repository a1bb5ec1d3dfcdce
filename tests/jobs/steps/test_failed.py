"""Nights that failed for one reason are one line on the screen, however many they are."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest

from jobs.exits import Failure
from jobs.screen import Screen
from jobs.steps.failed import lines_of_failed
from jobs.steps.nights import Outcome
from jobs.steps.reports import show_outcomes

FIRST = date(2025, 2, 12)


def failed(number: int, message: str, code: int = 65, job: str = "tix") -> Outcome:
    night = FIRST + timedelta(days=number)
    return Outcome(job, night, "failed", failure=Failure(code, message.format(night=night, rows=9 - number)))


def test_nights_that_follow_each_other_and_fail_alike_are_one_line() -> None:
    empty = "tickets_v1.sql returned no rows as of {night}, {rows} before; is the warehouse loaded?"
    said = list(lines_of_failed([failed(number, empty) for number in range(4)]))

    closing = f"nights that have nothing to score are closed, each by its date: score skip tix --as-of {FIRST}"
    assert said == [
        f"tix as of 2025-02-12 to 2025-02-15, 4 nights: the first: {empty.format(night=FIRST, rows=9)}",
        f"{closing} --reason '...'",
    ]


@pytest.mark.parametrize(
    "outcomes",
    [
        [failed(0, "a"), failed(1, "b")],
        [failed(0, "a"), failed(2, "a")],
        [failed(0, "a"), failed(1, "a", 81)],
        [failed(0, "a"), failed(1, "a", job="other")],
        [failed(0, "a"), Outcome("tix", FIRST + timedelta(days=1), "failed", failure=Failure(65, "a"), waiting=3)],
    ],
    ids=["reason", "gap", "code", "job", "those that wait"],
)
def test_what_is_not_one_stretch_keeps_a_line_each(outcomes: list[Outcome]) -> None:
    assert list(lines_of_failed(outcomes)) == [
        f"{each.job} as of {each.as_of}: {each.failure.message}" for each in outcomes if each.failure
    ]


def test_how_to_close_a_night_is_said_once_and_only_where_rows_were_at_fault() -> None:
    both = [failed(number, said) for number, said in enumerate(["a", "a", "b", "b"])]
    elsewhere = [failed(number, "a", 81) for number in range(3)]
    said_already = [failed(number, "nothing to score: score skip tix") for number in range(3)]

    assert sum("score skip" in each for each in lines_of_failed(both)) == 1
    assert len(list(lines_of_failed(elsewhere))) == 1
    assert len(list(lines_of_failed(said_already))) == 1


def test_the_document_keeps_every_night(capfd: pytest.CaptureFixture[str]) -> None:
    assert show_outcomes(Screen(as_json=True), [failed(number, "a") for number in range(3)]) == 65
    captured = capfd.readouterr()

    assert [each["error"]["message"] for each in json.loads(captured.out)["runs"]] == ["a", "a", "a"]
    assert captured.err.count("tix as of") == 1
