"""The chain of events: append-only, each link checked, and what its replay says."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from jobs.store.documents import DocumentDamaged, write_document
from jobs.store.events import (
    NIGHTLY,
    PROMOTED,
    PUBLISHED,
    RECORDED,
    SKIPPED,
    Chain,
    ChainBroken,
    ChampionMissing,
    append,
    read_chain,
)

if TYPE_CHECKING:
    from pathlib import Path

    from jobs.store.home import Home

JOB = "flight_delay"


def day(number: int) -> date:
    return date(2013, 9, number)


def add(home: Home, kind: str, as_of: int, run_or_model: str = "", reason: str = NIGHTLY) -> Chain:
    chain = read_chain(home, JOB)
    at = datetime(2013, 9, 30, len(chain.events), tzinfo=UTC)
    named = "model_version" if kind == PROMOTED else "run_id"
    return append(home, chain, kind, at=at, reason=reason, as_of=day(as_of), **{named: run_or_model or None})


@pytest.fixture
def folder(home: Home) -> Path:
    """A chain of four: a promotion, two nights, and a restatement of the first."""
    add(home, PROMOTED, 1, "model-1", "first version")
    add(home, PUBLISHED, 1, "run-1")
    add(home, PUBLISHED, 2, "run-2")
    add(home, PUBLISHED, 1, "run-1-again", "restate")
    return home.events(JOB)


def test_a_job_without_events_has_an_empty_chain(home: Home) -> None:
    assert read_chain(home, JOB) == Chain(JOB, (), "")


def test_what_was_appended_is_read_back(home: Home, folder: Path) -> None:
    chain = add(home, SKIPPED, 3, reason="no flights: ü")

    assert read_chain(home, JOB) == chain
    assert [event.seq for event in chain.events] == [1, 2, 3, 4, 5]
    assert chain.events[-1].reason == "no flights: ü"
    assert sorted(path.name for path in folder.iterdir()) == [f"0000000{seq}.json" for seq in range(1, 6)]


@pytest.mark.parametrize("missing", ["00000001.json", "00000002.json", "00000003.json"])
def test_a_missing_event_is_named(home: Home, folder: Path, missing: str) -> None:
    (folder / missing).unlink()

    with pytest.raises(ChainBroken, match=rf"{missing} is missing; restore it"):
        read_chain(home, JOB)


def test_an_event_that_was_sealed_again_breaks_the_link_after_it(home: Home, folder: Path) -> None:
    """Even one whose own digest is right: the next carries the digest of what stood there."""
    body = {"as_of": "2013-09-01", "at": "", "job": JOB, "kind": PUBLISHED, "model_version": None, "previous": ""}
    write_document(folder / "00000001.json", "event", {**body, "reason": "", "run_id": "run-1", "seq": 1})

    with pytest.raises(ChainBroken, match=r"00000002\.json does not follow the event before it"):
        read_chain(home, JOB)


def test_an_edited_byte_is_found(home: Home, folder: Path) -> None:
    path = folder / "00000003.json"
    path.write_bytes(path.read_bytes().replace(b"run-2", b"run-3"))

    with pytest.raises(DocumentDamaged, match=r"00000003\.json"):
        read_chain(home, JOB)


def test_events_in_exchanged_places_are_found(home: Home, folder: Path) -> None:
    second, third = (folder / "00000002.json").read_bytes(), (folder / "00000003.json").read_bytes()
    (folder / "00000002.json").write_bytes(third)
    (folder / "00000003.json").write_bytes(second)

    with pytest.raises(ChainBroken, match=r"00000002\.json does not follow"):
        read_chain(home, JOB)


def test_the_events_of_another_job_are_not_this_job_s(home: Home, folder: Path) -> None:
    folder.rename(home.events("other"))

    with pytest.raises(ChainBroken, match=r"other/00000001\.json does not follow"):
        read_chain(home, "other")


def test_what_a_killed_writer_left_beside_is_no_event(home: Home, folder: Path) -> None:
    (folder / ".00000005.json.123.tmp").write_bytes(b"half")

    assert len(read_chain(home, JOB).events) == 4


@pytest.mark.usefixtures("folder")
def test_a_chain_that_is_not_the_newest_cannot_overwrite_an_event(home: Home) -> None:
    """Whoever appends holds the lock and has read the chain under it; a mistake there loses nothing."""
    stale = read_chain(home, JOB)
    add(home, PUBLISHED, 3, "run-3")

    with pytest.raises(ChainBroken, match=r"00000005\.json"):
        append(home, stale, PUBLISHED, at=datetime(2013, 9, 30, tzinfo=UTC), reason="x", as_of=day(4), run_id="run-4")
    assert read_chain(home, JOB).events[-1].run_id == "run-3"


def test_the_champion_is_of_the_last_promotion_that_is_in_effect(home: Home) -> None:
    add(home, PROMOTED, 3, "first")
    add(home, PROMOTED, 9, "second")
    add(home, PROMOTED, 5, "third")
    chain = read_chain(home, JOB)

    assert [chain.champion(day(number)) for number in (3, 4, 5, 8, 9, 30)] == [
        "first", "first", "third", "third", "third", "third",
    ]  # fmt: skip


def test_without_a_champion_the_earliest_is_named(home: Home) -> None:
    with pytest.raises(ChampionMissing, match="flight_delay has no model yet; train one"):
        read_chain(home, JOB).champion(day(1))

    add(home, PROMOTED, 9, "late")
    chain = add(home, PROMOTED, 5, "early")
    with pytest.raises(
        ChampionMissing,
        match=r"no champion as of 2013-09-04; the earliest is in effect from 2013-09-05.* --model VERSION --hindsight",
    ):
        chain.champion(day(4))


def test_the_current_run_of_a_night_is_the_one_published_last(home: Home, folder: Path) -> None:
    del folder
    add(home, RECORDED, 2, "hindsight", "backfill")
    current = read_chain(home, JOB).current()

    assert {as_of: event.run_id for as_of, event in current.items()} == {day(1): "run-1-again", day(2): "run-2"}


def test_a_run_is_first_shown_once_even_if_it_becomes_current_again(home: Home, folder: Path) -> None:
    del folder
    add(home, PUBLISHED, 1, "run-1", "back to the first")
    add(home, RECORDED, 2, "hindsight", "backfill")
    chain = add(home, PUBLISHED, 2, "hindsight", "rollback")

    assert {run: event.seq for run, event in chain.first_shown().items()} == {
        "run-1": 2, "run-2": 3, "run-1-again": 4, "hindsight": 6,
    }  # fmt: skip


def test_nights_are_closed_by_publishing_or_skipping_and_not_by_keeping(home: Home, folder: Path) -> None:
    del folder
    add(home, PUBLISHED, 9, "run-9", "backfill")
    add(home, RECORDED, 8, "run-8", "backfill")
    chain = add(home, SKIPPED, 4, reason="no flights")

    assert chain.closed() == {day(1), day(2), day(4), day(9)}


def test_the_first_night_is_the_one_that_the_nightly_command_published_first(home: Home) -> None:
    """Not the earliest: a backfill may have gone further back, by hand or later."""
    assert read_chain(home, JOB).first_nightly() is None
    add(home, PROMOTED, 1, "model-1", NIGHTLY)
    add(home, SKIPPED, 2, reason=NIGHTLY)
    assert add(home, PUBLISHED, 3, "run-3", "backfill").first_nightly() is None

    add(home, PUBLISHED, 5, "run-5")
    assert add(home, PUBLISHED, 4, "run-4").first_nightly() == day(5)
