"""Asking a person, at a terminal, for what they did not say of a new job; the warehouse proposes the answers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from jobs.authoring.facts import (
    amounts,
    entities,
    event_times,
    known_times,
    likely_known_times,
    look_at,
    outcomes,
)
from jobs.authoring.wishes import NO_KNOWN_TIME, Predict, find_table, horizon_fault, zone_fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobs.authoring.facts import Facts, Table
    from jobs.authoring.warehouse import Looker
    from jobs.authoring.wishes import Wish

_HORIZON_DAYS = "28"
_QUESTIONS = {
    Predict.ANY: "whether it has any row in the coming days",
    Predict.COUNT: "how many rows it has in the coming days",
    Predict.SUM: "what a column of these rows adds up to",
    Predict.OUTCOME: "of each row that lies ahead, such as an appointment: what will become of it",
}


class NobodyAnswers(Exception):
    """The terminal was closed before all questions were answered."""


Fault = Callable[[str], str]  # what is wrong with an answer; empty if nothing is


class Ask(Protocol):
    """Asks one question; the answer is one of `among`, where any are given, and `usual` if nothing is typed.

    One that `fault` finds fault with is asked for again.
    """

    def __call__(
        self, question: str, among: Sequence[tuple[str, str]] = (), usual: str = "", fault: Fault | None = None
    ) -> str:
        """The answer."""


def ask_for_rest(wish: Wish, looker: Looker, ask: Ask) -> Wish:
    """The wish with everything that was not said asked for, in an order in which one answer leads to the next."""
    if wish.table is None or find_table(looker, wish.table) is None:
        tables = [(".".join(path), "") for path in looker.tables()]
        wish = replace(wish, table=ask("Which table says what happened?", tables))
    path = find_table(looker, str(wish.table))
    if path is None:
        return wish  # refused by name, with what there is
    table = look_at(looker, path)
    if wish.predict is None:
        answer = ask("What is predicted, of each thing that rows are of?", [*_QUESTIONS.items()])
        wish = replace(wish, predict=Predict(answer))
    if wish.entity is None and not wish.ahead:
        wish = replace(
            wish, entity=ask("What is scored every night: its rows are of which", _described(entities(table)))
        )
    if wish.event_time is None:
        wish = replace(wish, event_time=ask("When did a row happen?", _described(event_times(table))))
    if wish.known_time is None:
        wish = replace(wish, known_time=ask("When did the warehouse know of it?", _known(wish, looker, table)))
    return _ahead(wish, table, ask)


def _known(wish: Wish, looker: Looker, table: Table) -> list[tuple[str, str]]:
    """What may be the known time, and none: before those that are not likely to be it."""
    every = known_times(table, str(wish.event_time))
    likely = every if wish.ahead else likely_known_times(looker, table, str(wish.event_time))
    none = (NO_KNOWN_TIME, "the table does not say")
    return [*_described(likely), none, *_described([each for each in every if each not in likely])]


def _ahead(wish: Wish, table: Table, ask: Ask) -> Wish:
    """What is predicted more closely, and how far ahead."""
    if wish.ahead:
        wish = _of_outcomes(wish, table, ask)
    if wish.predict is Predict.SUM and wish.amount is None:
        clocks = {str(wish.entity), str(wish.event_time), str(wish.known_time)}
        wish = replace(wish, amount=ask("Which column is added up?", _described(amounts(table, clocks))))
    if wish.horizon_days is None:
        days = ask("How many days ahead?", usual=_HORIZON_DAYS, fault=horizon_fault)
        wish = replace(wish, horizon_days=int(days))
    if not wish.time_zone:
        question = "Whose midnight ends a day (such as Europe/Berlin)?"
        fault = partial(zone_fault, table=table, event_time=str(wish.event_time))
        wish = replace(wish, time_zone=ask(question, usual="UTC", fault=fault))
    return wish


def _of_outcomes(wish: Wish, table: Table, ask: Ask) -> Wish:
    """Which column says what became of a row, which value counts, and when it became known."""
    if wish.outcome is None:
        wish = replace(wish, outcome=ask("Which column says what became of a row?", _described(outcomes(table))))
    if wish.outcome_is is None:
        wish = replace(wish, outcome_is=ask("Which value of it counts?", usual="true"))
    if wish.outcome_known is None:
        clocks = [
            (each.name, each.type_sql) for each in table.columns if each.is_clock and each.name != wish.event_time
        ]
        none = (NO_KNOWN_TIME, "the table does not say")
        wish = replace(wish, outcome_known=ask("When did that become known?", [none, *clocks]))
    return wish


def _described(columns: Sequence[Facts]) -> list[tuple[str, str]]:
    """Each column with what was counted of it."""
    return [(each.name, f"{each.type_sql}{_counted(each)}") for each in columns]


def _counted(column: Facts) -> str:
    if column.lowest and column.highest:
        return f", {column.lowest} to {column.highest}"
    return "" if column.distinct is None else f", {column.distinct:,} different"


def ask_at_terminal(
    question: str, among: Sequence[tuple[str, str]] = (), usual: str = "", fault: Fault | None = None
) -> str:
    """Ask on stderr, and again until the answer is one of those; a choice may be answered by its number."""
    for number, (name, words) in enumerate(among, start=1):
        _say(f"  {number}  {name}{f'  ({words})' if words else ''}\n")
    default = usual or (among[0][0] if among else "")
    while True:
        _say(f"{question}{f' [{default}]' if default else ''} ")
        line = sys.stdin.readline()
        if not line:
            raise NobodyAnswers("nobody answers any more; nothing was written. Say it by options: score new --help")
        answer = line.strip() or default
        if answer.isdecimal() and 1 <= int(answer) <= len(among):
            return among[int(answer) - 1][0]
        if among and answer not in {name for name, _ in among}:
            said = "one of these, by its name or its number, please"
        else:
            said = (fault(answer) if fault else "") if answer else "an answer, please"
        if not said:
            return answer
        _say(f"  {said}\n")


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
