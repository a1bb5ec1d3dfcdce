"""The mutation ledger: what the warehouse changed of what was known, and what merely arrived."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.store.ledger import Comparison, compare
from jobs.store.opening import stored_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from jobs.store.home import Home
    from jobs.store.snapshots import Snapshot

    type Keep = Callable[..., Snapshot]
    type Between = Callable[[Snapshot, Snapshot], Comparison]

NOON, LATER, NEXT_DAY = "2013-08-20 12:00", "2013-08-20 18:00", "2013-09-01 09:00"
AT = "2013-08-20 10:00"
ONE, TWO = (1, AT, NOON, "a"), (2, AT, NOON, "b")


@pytest.fixture
def between(home: Home) -> Between:
    """What differs between two snapshots."""

    def differences(earlier: Snapshot, later: Snapshot) -> Comparison:
        return compare(earlier, later, stored_rows(home), stored_rows(home))

    return differences


def listed(comparison: Comparison) -> list[tuple[str, int, object, object]]:
    """Kind, id, value before and value after of each mutation."""
    return [
        (
            each.kind.value,
            each.key["id"],
            each.before and each.before.get("value"),
            each.after and each.after.get("value"),
        )
        for each in comparison.mutations
    ]


@pytest.mark.parametrize("known", ["appended", "rewritten"])
def test_rows_of_the_past_are_inserted_changed_and_vanish(kept: Keep, between: Between, known: str) -> None:
    same = [ONE, (5, AT, NOON, None)]
    before = kept("2013-09-01", [*same, TWO, (3, AT, NOON, "c")], known=known)
    after = kept("2013-09-01", [*same, (2, AT, NOON, "B"), (4, AT, NOON, None)], known=known)
    found = between(before, after)

    assert listed(found) == [("changed", 2, "b", "B"), ("vanished", 3, "c", None), ("inserted", 4, None, None)]
    changed, vanished, inserted = found.mutations
    assert (changed.before, changed.after) == ({"value": "b"}, {"value": "B"})
    assert vanished.before is not None
    assert list(vanished.before) == ["id", "happened_at", "known_at", "value"]
    assert (vanished.after, inserted.before) == (None, None)
    assert {each.table for each in found.mutations} == {"events"}
    assert found.arrivals == {"events": 0}


def test_a_mutation_holds_the_whole_rows_with_their_days(kept: Keep, between: Between) -> None:
    """`before` and `after` say what differs; `was` and `now` can be put into a frame of the table."""
    before = kept("2013-09-01", [ONE, TWO])
    after = kept("2013-09-01", [(1, AT, "2013-08-21 07:00", "A"), (3, AT, NOON, "c")])
    moved, vanished, inserted = between(before, after).mutations

    assert moved.was == {
        "event_day": date(2013, 8, 20), "visible_day": date(2013, 8, 21), "id": 1,
        "happened_at": datetime(2013, 8, 20, 10, tzinfo=UTC), "known_at": datetime(2013, 8, 20, 12, tzinfo=UTC),
        "value": "a",
    }  # fmt: skip
    assert moved.now == {
        **moved.was, "visible_day": date(2013, 8, 22), "known_at": datetime(2013, 8, 21, 7, tzinfo=UTC), "value": "A",
    }  # fmt: skip
    assert (vanished.was, vanished.now) == ({**moved.was, "id": 2, "value": "b"}, None)
    assert (inserted.was, inserted.now) == (None, {**moved.was, "id": 3, "value": "c"})


def test_what_other_sql_took_is_not_compared(kept: Keep, between: Between) -> None:
    """Its rows may differ because it asks for others: no mutation, and no count of arrivals either."""
    before, after = kept("2013-09-01", [ONE, TWO]), kept("2013-09-01", [(1, AT, NOON, "A")])
    other = replace(after, tables=(replace(after.table("events"), sql_fingerprint="1" * 64),))

    assert len(between(before, after).mutations) == 2
    assert between(before, other) == Comparison((), {})


def test_nothing_changed_is_nothing_listed(kept: Keep, between: Between) -> None:
    night, next_night = kept("2013-09-01", [ONE, TWO]), kept("2013-09-02", [ONE, TWO])

    assert between(night, night) == Comparison((), {"events": 0})
    assert between(night, next_night) == Comparison((), {"events": 0})


@pytest.mark.parametrize("known", ["appended", "rewritten"])
def test_what_became_known_later_arrived_and_is_no_mutation(kept: Keep, between: Between, known: str) -> None:
    """A late row of an old day, and a row of a new day that the earlier bounds did not reach."""
    before = kept("2013-09-01", [ONE], known=known, days=("2013-08-01", "2013-09-01"))
    rows = [ONE, (2, AT, NEXT_DAY, "late"), (3, "2013-09-01 08:00", NEXT_DAY, "new")]
    after = kept("2013-09-02", rows, known=known, days=("2013-08-02", "2013-09-02"))

    assert between(before, after) == Comparison((), {"events": 1})


def test_a_correction_of_an_appended_row_is_an_arrival(kept: Keep, between: Between) -> None:
    before = kept("2013-09-01", [ONE])
    after = kept("2013-09-02", [ONE, (1, AT, NEXT_DAY, "corrected")])

    assert between(before, after) == Comparison((), {"events": 1})


def test_a_rewritten_row_that_was_recorded_anew_is_moved_and_did_not_arrive(kept: Keep, between: Between) -> None:
    """Its known time was rewritten: the earlier night's value can be had from its snapshot alone."""
    before = kept("2013-09-01", [ONE, TWO], known="rewritten")
    after = kept("2013-09-02", [(1, AT, NEXT_DAY, "A"), TWO, (3, AT, NEXT_DAY, "late")], known="rewritten")
    found = between(before, after)

    assert listed(found) == [("moved", 1, "a", "A")]
    assert set(found.mutations[0].before or ()) == {"known_at", "value"}
    assert found.arrivals == {"events": 1}


@pytest.mark.parametrize("known", ["appended", "rewritten"])
def test_a_known_time_rewritten_within_what_was_known_is_moved(kept: Keep, between: Between, known: str) -> None:
    before, after = kept("2013-09-01", [ONE], known=known), kept("2013-09-01", [(1, AT, LATER, "a")], known=known)
    found = between(before, after)

    assert listed(found) == [("moved", 1, None, None)]
    assert set(found.mutations[0].after or ()) == {"known_at"}


def test_a_moved_version_is_told_from_a_later_correction_of_it(kept: Keep, between: Between) -> None:
    """The row moved from noon to six; that it was also corrected on the next day is an arrival."""
    before = kept("2013-09-01", [ONE])
    after = kept("2013-09-02", [(1, AT, LATER, "a"), (1, AT, NEXT_DAY, "corrected")])
    found = between(before, after)

    assert listed(found) == [("moved", 1, None, None)]
    assert [each.after for each in found.mutations] == [{"known_at": datetime.fromisoformat(f"{LATER}+00:00")}]
    assert found.arrivals == {"events": 1}


def test_each_version_of_an_appended_row_is_compared_with_itself(kept: Keep, between: Between) -> None:
    before = kept("2013-09-01", [ONE, (1, AT, LATER, "second")])
    changed = between(before, kept("2013-09-01", [ONE, (1, AT, LATER, "edited")]))
    vanished = between(before, kept("2013-09-01", [(1, AT, LATER, "second")]))
    inserted = between(kept("2013-09-01", [ONE]), before)

    assert listed(changed) == [("changed", 1, "second", "edited")]
    assert listed(vanished) == [("vanished", 1, "a", None)]
    assert listed(inserted) == [("inserted", 1, None, "second")]


def test_days_that_only_one_of_them_looked_at_are_not_compared(kept: Keep, between: Between) -> None:
    """The window moved on: what left it did not vanish, and what it reached did not come in."""
    first, last = (1, "2013-08-05 10:00", "2013-08-05 12:00", "x"), (9, "2013-08-25 10:00", "2013-08-25 12:00", "y")
    before = kept("2013-09-01", [first, TWO], days=("2013-08-01", "2013-08-21"))
    after = kept("2013-09-10", [TWO, last], days=("2013-08-10", "2013-09-01"))

    assert between(before, after) == Comparison((), {"events": 0})
    assert between(after, before) == Comparison((), {"events": 0})


def test_the_older_of_two_as_ofs_says_what_was_known_whichever_was_taken_first(kept: Keep, between: Between) -> None:
    """A backfill looks at an earlier night than what is kept: what was not known then did not vanish."""
    kept_first = kept("2013-09-02", [ONE, (2, AT, NEXT_DAY, "late")])
    backfill = kept("2013-09-01", [ONE])

    assert between(kept_first, backfill) == Comparison((), {"events": 0})


def test_a_population_is_compared_over_the_nights_that_both_score(kept: Keep, between: Between) -> None:
    before = kept("2013-08-20", [ONE, TWO], role="population", known="rewritten", days=("2013-08-20", "2013-08-22"))
    after = kept("2013-08-22", [ONE], role="population", known="rewritten", days=("2013-08-22", "2013-08-24"))

    assert between(before, after) == Comparison((), {"events": 0})


def test_a_reference_without_a_known_time_is_compared_whole(kept: Keep, between: Between) -> None:
    def planes(as_of: str, *rows: tuple[int, str]) -> Snapshot:
        return kept(as_of, [(key, None, None, value) for key, value in rows], role="reference", known="none", days=None)

    before = planes("2013-09-01", (1, "a"), (2, "b"), (3, "c"))
    after = planes("2013-09-05", (1, "a"), (2, "B"), (4, "d"))

    assert listed(between(before, after)) == [
        ("changed", 2, "b", "B"), ("vanished", 3, "c", None), ("inserted", 4, None, "d"),
    ]  # fmt: skip


def test_a_reference_with_a_known_time_has_arrivals_and_rows_that_moved(kept: Keep, between: Between) -> None:
    def stations(as_of: str, *rows: tuple[int, str, str]) -> Snapshot:
        full = [(key, None, known, value) for key, known, value in rows]
        return kept(as_of, full, role="reference", known="rewritten", days=None)

    before = stations("2013-09-01", (1, NOON, "a"), (2, NOON, "b"))
    after = stations("2013-09-02", (1, NEXT_DAY, "A"), (2, NOON, "b"), (3, NEXT_DAY, "new"))
    found = between(before, after)

    assert listed(found) == [("moved", 1, "a", "A")]
    assert found.arrivals == {"events": 1}


CELLS = st.sampled_from(["a", "b", None])
INSTANTS = st.sampled_from([NOON, LATER, "2013-08-21 07:00", NEXT_DAY])
TABLES = st.dictionaries(st.tuples(st.integers(1, 5), INSTANTS), CELLS, max_size=8)


@given(TABLES, TABLES, st.randoms(use_true_random=False), st.sampled_from(["appended", "rewritten"]))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_difference_is_listed_once_in_any_order_of_the_warehouse(
    kept: Keep, between: Between, was: dict, now: dict, chance: Random, known: str
) -> None:
    """The known rows of before, put through the mutations, are the known rows of after; what is left over arrived."""

    def rows(cells: dict) -> list[tuple[int, str, str, str | None]]:
        full = [(key, AT, at, value) for (key, at), value in cells.items()]
        if known == "rewritten":
            full = list({row[0]: row for row in full}.values())
        chance.shuffle(full)
        return full

    old = [row for row in rows(was) if row[2] != NEXT_DAY]
    new = rows(now)
    before, after = kept("2013-09-01", old, known=known), kept("2013-09-02", new, known=known)
    found = between(before, after)
    chance.shuffle(old)
    again = between(kept("2013-09-01", old, known=known), after)

    assert again == found
    gone = sum(each.before is not None for each in found.mutations)
    come = sum(each.after is not None for each in found.mutations)
    untouched = set(old) & set(new)
    assert len(old) - gone == len(untouched)
    assert len(new) - come - found.arrivals["events"] == len(untouched)
