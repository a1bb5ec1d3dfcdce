"""Causes: how much of what two runs score differently is due to what, adding up exactly.

From each waypoint of `swapping` that can be executed, the way goes on to the next that can. What an entity's score
moves by in between is due to the cause that was swapped there; if several were, to all of these together: one named
remainder. Every change is the exact difference of two float64 (`fractions.Fraction`), so that for each entity, and in
sum, the causes are the whole; that is checked, not assumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import polars as pl

from jobs.differences.differing import Side, match, read_sides, unlike
from jobs.differences.swapping import (
    ANOTHER_NIGHT,
    CHANGED_ROWS,
    ENVIRONMENT,
    FEATURE_CODE,
    MODEL,
    NEW_ROWS,
    SQL_VERSION,
    NotExecutable,
    lay_out,
    other_values,
    waypoints,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from jobs.definition import Job
    from jobs.differences.differing import Entities, Unlike
    from jobs.differences.swapping import Waypoint
    from jobs.screen import Tell
    from jobs.store.home import Home
    from jobs.store.ledger import Comparison

    type Changes = dict[int, Fraction]  # by the entity's place among those of both runs; none is zero

NO_CHANGE = Fraction(0)


@dataclass(frozen=True, slots=True)
class Link:
    """From one executed waypoint to the next: the causes that were swapped in between, the changes, why so many."""

    causes: tuple[str, ...]
    why: tuple[str, ...]
    changes: Changes


@dataclass(frozen=True, slots=True)
class Cause:
    """What one cause, or the remainder, or all of them together, did to the scores of the entities of both runs.

    `mean` is over all of these; `share` is of all the movement, step by step and without its sign; `causes` are what a
    remainder is made of, and `why` says what of it could not be executed.
    """

    name: str
    changes: Changes
    entities: int
    share: Fraction
    causes: tuple[str, ...] = ()
    why: tuple[str, ...] = ()

    @property
    def sum(self) -> Fraction:
        """The sum of the changes, signed and exact."""
        return sum(self.changes.values(), NO_CHANGE)

    @property
    def mean(self) -> Fraction:
        """The mean over the entities of both runs."""
        return self.sum / self.entities if self.entities else NO_CHANGE

    @property
    def largest(self) -> Fraction:
        """The change that is largest whatever its sign; of equals the positive one."""
        return max(self.changes.values(), key=lambda change: (abs(change), change), default=NO_CHANGE)


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity of both runs whose score moved: from and to, and by how much for which cause."""

    key: Mapping[str, object]
    score: tuple[float, float]
    raw_score: tuple[float, float]
    rank: tuple[int, int]
    change: Fraction
    by_cause: Mapping[str, Fraction]


@dataclass(frozen=True, slots=True)
class Difference:
    """Two runs: what they differ in, the entities that moved (the furthest first), the causes in order of swaps.

    `rewritten` is what the ledger finds between their rows, `other_values` counts entities by feature; null: no longer
    to be had.
    """

    job: Job
    a: Side
    b: Side
    unlike: Unlike
    rewritten: Comparison | None
    other_values: Mapping[str, int] | None
    entities: Entities
    moved: tuple[Entity, ...]
    causes: tuple[Cause, ...]
    together: Cause


def diff_runs(jobs: Sequence[Job], home: Home, run_a: str, run_b: str, tell: Tell) -> Difference:
    """How the scores of two kept runs differ, and why; needs no warehouse, and writes nothing.

    Raises:
        RunMissing, JobsDiffer: if there are no two such runs.
        RunDamaged, ObjectDamaged, ObjectMissing: if a manifest or a score table of theirs is not what was written.
    """
    tell("reading both runs")
    job, a, b = read_sides(jobs, home, run_a, run_b)
    entities = match(a.scores, b.scores, job.key)
    bench = lay_out(job, home, a, b)
    way = shortened(waypoints(bench)) if entities.both.height else ()
    links = tuple(_walk(way, entities.both, job.key, tell))
    causes, together = attribute(links, entities.both, another_night=a.run.inputs.as_of != b.run.inputs.as_of)
    return Difference(
        job=job,
        a=a,
        b=b,
        unlike=unlike(a, b),
        rewritten=None if isinstance(bench.comparison, NotExecutable) else bench.comparison,
        other_values=other_values(bench),
        entities=entities,
        moved=_moved(entities.both, job.key, causes, together),
        causes=causes,
        together=together,
    )


def shortened(way: Sequence[Waypoint]) -> tuple[Waypoint, ...]:
    """The way without what need not be executed: between two waypoints that are made of the same, nothing moved."""
    left: list[Waypoint] = []
    place = 0
    while place < len(way):
        left.append(way[place])
        place = max(other for other, each in enumerate(way) if each.made_of == way[place].made_of) + 1
    return tuple(left)


def _walk(way: Sequence[Waypoint], both: pl.DataFrame, key: Sequence[str], tell: Tell) -> Iterator[Link]:
    """Go along the way, leaving out what cannot be executed. An entity that is absent on the way stays where it was."""
    before = both.get_column("score")
    passed: list[Waypoint] = []
    why: list[str] = []
    for done, waypoint in enumerate(way[1:], start=1):
        tell(f"swapping {waypoint.cause}", done / len(way))
        passed.append(waypoint)
        try:
            scores = waypoint.scores()
        except NotExecutable as lost:
            why.append(str(lost))
            continue
        after = _placed(scores, both.select(key), before)
        yield Link(suspects(passed), tuple(dict.fromkeys(why)), _changes(before, after))
        before, passed, why = after, [], []


def _placed(scores: pl.DataFrame, entities: pl.DataFrame, before: pl.Series) -> pl.Series:
    on = entities.columns
    found = entities.with_columns(before=before).join(
        scores.select(*on, now="score"), on=on, how="left", maintain_order="left"
    )
    return found.select(pl.coalesce("now", "before")).to_series()


def _changes(before: pl.Series, after: pl.Series) -> Changes:
    places = (before != after).arg_true().to_list()
    return {place: Fraction(after[place]) - Fraction(before[place]) for place in places}


def suspects(passed: Sequence[Waypoint]) -> tuple[str, ...]:
    """The causes between two waypoints, in the order of swaps.

    One that on record is afterwards what it was before (as the code, where both runs are of another than today's) is
    none of them, unless no other is left.
    """
    swaps: dict[str, list[tuple[object, object]]] = {}
    for each in passed:
        swaps.setdefault(each.cause, []).append(each.swap)
    changed = [cause for cause, of_it in swaps.items() if of_it[0][0] != of_it[-1][1]]
    return tuple(changed or swaps)


def attribute(links: Sequence[Link], both: pl.DataFrame, *, another_night: bool) -> tuple[tuple[Cause, ...], Cause]:
    """What each cause did, in the order of swaps, then the remainder if there is one; and all of them together."""
    new_rows = ANOTHER_NIGHT if another_night else NEW_ROWS
    names = (ENVIRONMENT, FEATURE_CODE, CHANGED_ROWS, new_rows, SQL_VERSION, MODEL)
    changes = {name: _added(each.changes for each in links if each.causes == (name,)) for name in names}
    several = [each for each in links if len(each.causes) > 1 and each.changes]
    untold = [name for name in names if any(name in each.causes for each in several)]
    why = tuple(dict.fromkeys(reason for each in several for reason in each.why))
    if several:
        changes[f"cannot be told apart: {listed(untold)}"] = _added(each.changes for each in several)
    whole = _changes(both.get_column("score"), both.get_column("score_b"))
    require_exact(changes, whole)
    moved = {name: sum(map(abs, each.values()), NO_CHANGE) for name, each in changes.items()}
    all_moved = sum(moved.values(), NO_CHANGE)
    causes = tuple(
        Cause(
            name,
            each,
            both.height,
            moved[name] / all_moved if all_moved else NO_CHANGE,
            *(((), ()) if name in names else (tuple(untold), why)),
        )
        for name, each in changes.items()
    )
    return causes, Cause("all together", whole, both.height, Fraction(1) if all_moved else NO_CHANGE)


def require_exact(by_cause: Mapping[str, Changes], whole: Changes) -> None:
    """Pass if for every entity, and in sum, the causes add up to the whole, exactly.

    Raises:
        ArithmeticError: if they do not, which is a bug.
    """
    if _added(by_cause.values()) != whole:
        raise ArithmeticError("the causes do not add up to the change of every entity")
    sums = (sum(each.values(), NO_CHANGE) for each in by_cause.values())
    if sum(sums, NO_CHANGE) != sum(whole.values(), NO_CHANGE):
        raise ArithmeticError("the causes do not add up to the whole")


def listed(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _added(several: Iterable[Changes]) -> Changes:
    """The sums by place; what comes to nothing is left out."""
    total: Changes = {}
    for each in several:
        for place, change in each.items():
            total[place] = total.get(place, NO_CHANGE) + change
    return {place: change for place, change in total.items() if change}


def _moved(both: pl.DataFrame, key: Sequence[str], causes: Sequence[Cause], together: Cause) -> tuple[Entity, ...]:
    """The entities whose score, or a part of it, is another; the furthest first, then by key."""
    raw = (both.get_column("raw_score") != both.get_column("raw_score_b")).arg_true().to_list()
    places = {*raw, *(place for each in causes for place in each.changes)}
    rows = both.with_row_index("place").filter(pl.col("place").is_in(sorted(places)))
    moved = [
        Entity(
            key={name: row[name] for name in key},
            score=(row["score"], row["score_b"]),
            raw_score=(row["raw_score"], row["raw_score_b"]),
            rank=(row["rank"], row["rank_b"]),
            change=together.changes.get(row["place"], NO_CHANGE),
            by_cause={each.name: each.changes[row["place"]] for each in causes if row["place"] in each.changes},
        )
        for row in rows.iter_rows(named=True)
    ]
    return tuple(sorted(moved, key=lambda each: -abs(each.change)))  # of equals the first by key
