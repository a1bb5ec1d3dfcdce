"""The nights of a call that failed, in as few lines as say it: those that follow each other for one reason in one."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jobs.exits import Failure
    from jobs.steps.nights import Outcome

_FIGURE = re.compile(r"\d[\d,.:-]*")
_DATA = 65
_SKIP = "score skip"


def lines_of_failed(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """A line for each stretch of nights that failed alike but for dates and figures; how to close them follows once."""
    stretches = list(_stretches(outcomes))
    for stretch in stretches:
        yield _line(stretch)
    many = [stretch for stretch in stretches if len(stretch) > 1 and _may_be_empty(stretch[0][1])]
    for night, _ in (stretch[0] for stretch in many[:1]):
        yield (
            f"nights that have nothing to score are closed, each by its date: {_SKIP} {night.job} --as-of "
            f"{night.as_of} --reason '...'"
        )


def _may_be_empty(failure: Failure) -> bool:
    """Whether the rows were at fault, and the message does not say yet how to close a night."""
    return failure.code == _DATA and _SKIP not in failure.message


def _stretches(outcomes: Sequence[Outcome]) -> Iterator[list[tuple[Outcome, Failure]]]:
    open_one: list[tuple[Outcome, Failure]] = []
    for each in outcomes:
        if not each.failure:
            continue
        if open_one and not _goes_on(*open_one[-1], each, each.failure):
            yield open_one
            open_one = []
        open_one.append((each, each.failure))
    if open_one:
        yield open_one


def _goes_on(last: Outcome, then: Failure, night: Outcome, failure: Failure) -> bool:
    follows = (last.job, last.as_of + timedelta(days=1)) == (night.job, night.as_of)
    return follows and not night.waiting and (then.code, _kind(then)) == (failure.code, _kind(failure))


def _kind(failure: Failure) -> str:
    return _FIGURE.sub("N", failure.message)


def _line(stretch: Sequence[tuple[Outcome, Failure]]) -> str:
    (first, failure), (last, _) = stretch[0], stretch[-1]
    if len(stretch) == 1:
        return f"{first.job} as of {first.as_of}: {failure.message}"
    alike = len({each.message for _, each in stretch}) == 1
    which = "" if alike else "the first: "
    return f"{first.job} as of {first.as_of} to {last.as_of}, {len(stretch)} nights: {which}{failure.message}"
