"""Objects: written once under the digest of their rows, sealed to the bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pytest

from jobs.store.digest import TypeNotEncodable, rows_digest
from jobs.store.objects import (
    FileSeal,
    ObjectDamaged,
    ObjectMissing,
    ObjectStore,
    check_lengths,
    check_seals,
    object_path,
    read_rows,
    seal_of,
    write_parquet,
)
from jobs.warehouse.engine import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from jobs.store.home import Home

ROWS = pl.DataFrame({"id": [1, 2, None], "label": ["ü", "", None]})


@pytest.fixture
def store(home: Home, tmp_path: Path) -> Callable[[], ObjectStore]:
    """Stores of one home, each with a staging folder of its own."""
    made: list[ObjectStore] = []

    def make() -> ObjectStore:
        staged = tmp_path / f"staged-{len(made)}"
        staged.mkdir()
        made.append(ObjectStore(home.objects, staged))
        return made[-1]

    return make


def test_rows_lie_under_their_digest_and_come_back(home: Home, store: Callable[[], ObjectStore]) -> None:
    one = store()
    digest, seal = one.put(ROWS)

    assert digest == rows_digest(ROWS)
    assert one.path(digest).parent == one.staged
    assert one.keep() == {}
    assert one.path(digest) == object_path(home.objects, digest) == home.objects / digest[:2] / f"{digest}.parquet"
    assert seal_of(one.path(digest)) == seal
    assert read_rows([one.path(digest)]).equals(ROWS)
    assert list(one.staged.iterdir()) == []


def test_the_same_rows_are_staged_once_and_what_a_manifest_has_is_not_written(store: Callable[[], ObjectStore]) -> None:
    first = store()
    digest, seal = first.put(ROWS)
    assert first.put(ROWS) == (digest, seal)
    first.keep()

    second = store()
    second.known[digest] = seal
    assert second.put(ROWS) == (digest, seal)
    assert list(second.staged.iterdir()) == []


def test_many_put_at_once_are_what_each_is_put_alone(store: Callable[[], ObjectStore]) -> None:
    """In their order, equal rows among them, few of them in memory; what fails stops the rest."""
    alone, together = store(), store()
    frames = [
        pl.DataFrame({"id": [number % 7, None], "label": ["é", "x" * number]}) for number in (*range(9), *range(9))
    ]
    drawn: list[int] = []

    def drawing() -> Iterator[pl.DataFrame]:
        for number, frame in enumerate(frames):
            drawn.append(number)
            yield frame
            if number == 6:
                assert len(list(together.staged.glob("*.parquet"))) >= number - 4

    assert together.put_each(drawing()) == [alone.put(frame) for frame in frames]
    assert drawn == list(range(len(frames)))
    assert sorted(path.name for path in together.staged.iterdir()) == sorted(
        path.name for path in alone.staged.iterdir()
    )
    with pytest.raises(TypeNotEncodable):
        store().put_each([ROWS, pl.DataFrame({"id": [1.5]}, schema={"id": pl.Float32}), ROWS])


def test_keeping_twice_is_keeping_once(store: Callable[[], ObjectStore]) -> None:
    one = store()
    digest, seal = one.put(ROWS)

    assert (one.keep(), one.keep()) == ({}, {})
    assert seal_of(one.path(digest)) == seal


def test_two_that_keep_the_same_rows_at_once_agree(store: Callable[[], ObjectStore]) -> None:
    first, second = store(), store()
    digest, seal = first.put(ROWS)
    second.put(ROWS)

    assert first.keep() == {}
    assert second.keep() == {digest: seal}
    check_seals({second.path(digest): seal})


def test_the_same_rows_in_other_bytes_are_accepted_with_the_seal_that_they_have(
    home: Home, store: Callable[[], ObjectStore]
) -> None:
    """As another release writes them."""
    place = object_path(home.objects, rows_digest(ROWS))
    place.parent.mkdir()
    ROWS.write_parquet(place)
    lies_there = seal_of(place)

    one = store()
    digest, staged = one.put(ROWS)
    assert staged != lies_there
    assert one.keep() == {digest: lies_there}
    assert seal_of(place) == lies_there
    assert one.put(ROWS) == (digest, lies_there)


@pytest.mark.parametrize("what", ["other rows", "no parquet", "empty", "cut", "a type of nobody"])
def test_what_lies_there_and_is_not_these_rows_is_refused(
    home: Home, store: Callable[[], ObjectStore], what: str
) -> None:
    place = object_path(home.objects, rows_digest(ROWS))
    place.parent.mkdir()
    match what:
        case "other rows":
            ROWS[:2].write_parquet(place)
        case "a type of nobody":
            ROWS.cast({"id": pl.Float32}).write_parquet(place)
        case "cut":
            ROWS.write_parquet(place)
            place.write_bytes(place.read_bytes()[:-9])
        case _:
            place.write_bytes(b"no parquet" if what == "no parquet" else b"")

    one = store()
    one.put(ROWS)
    with pytest.raises(ObjectDamaged, match=r"is not what was written \(its rows differ\)"):
        one.keep()


def test_equal_rows_give_equal_bytes_for_any_number_of_threads(tmp_path: Path) -> None:
    """300,000 rows are three row groups; each thread has one to write."""
    rows = pl.DataFrame({"id": pl.int_range(300_000, eager=True)}).with_columns(
        label=pl.col("id") % 1_000, share=pl.col("id") / 7, text=("t" + pl.col("id").cast(pl.String))
    )
    seals = set()
    for threads in (1, 2, 3):
        con = connect()
        con.execute(f"SET threads = {threads}")
        seals.add(write_parquet(con, rows, tmp_path / f"{threads}.parquet"))
        seals.add(write_parquet(con, rows[:100_000].vstack(rows[100_000:]), tmp_path / f"{threads}-in-chunks.parquet"))
        con.close()

    assert len(seals) == 1
    assert read_rows([tmp_path / "1.parquet"]).equals(rows)


def test_rows_come_in_the_order_of_the_files_asked_for(tmp_path: Path) -> None:
    con = connect()
    paths = [tmp_path / f"{number}.parquet" for number in range(12)]
    for number, path in enumerate(paths):
        write_parquet(con, pl.DataFrame({"id": [number, -number]}), path)
    backwards = paths[::-1]

    assert read_rows(backwards)["id"].to_list() == [id_ for number in range(11, -1, -1) for id_ in (number, -number)]


@pytest.mark.parametrize("folder", ["it's", "run[1]", "every*", "why?", "env=prod", "a{b}", "ü €", "back\\slash"])
def test_a_path_is_a_path_and_no_pattern(tmp_path: Path, folder: str) -> None:
    """DuckDB reads `run[1]` as `run1`, `every*` as all of them, and makes a column of `env=prod`."""
    con = connect()
    for place, rows in ((folder, ROWS), ("run1", ROWS.clear()), ("everything", ROWS.clear()), ("whyx", ROWS.clear())):
        (tmp_path / place).mkdir()
        write_parquet(con, rows, tmp_path / place / "o.parquet")
    here = tmp_path / folder / "o.parquet"

    assert read_rows([here]).equals(ROWS)
    assert read_rows([here, here]).equals(pl.concat([ROWS, ROWS]))


def test_every_flipped_bit_and_every_cut_byte_breaks_the_seal(tmp_path: Path) -> None:
    path = tmp_path / "o.parquet"
    seal = write_parquet(connect(), ROWS, path)
    whole = path.read_bytes()

    for place in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(ObjectDamaged, match=r"o\.parquet is not what was written"):
            check_seals({path: seal})
    for damaged in (whole[:-1], whole + b"\0", b""):
        path.write_bytes(damaged)
        with pytest.raises(ObjectDamaged):
            check_seals({path: seal})


def test_the_first_broken_file_is_named_and_all_can_be(tmp_path: Path) -> None:
    good, damaged, gone = (tmp_path / name for name in ("a", "b", "c"))
    seal = write_parquet(connect(), ROWS, good)
    damaged.write_bytes(b"")
    seals = {good: seal, damaged: seal, gone: seal}

    with pytest.raises(ObjectDamaged, match="/b is not"):
        check_seals(seals)
    with pytest.raises(ObjectMissing, match="/c is missing; restore it from a backup"):
        check_seals({good: seal, gone: seal})
    with pytest.raises(ObjectDamaged, match="its length differs"):
        check_lengths(seals)
    with pytest.raises(ObjectMissing):
        check_lengths({good: seal, gone: seal})
    check_lengths({good: seal})
    check_seals({})
    check_seals({good: FileSeal(seal.sha256, seal.size)})


def test_nothing_is_installed_or_loaded_while_writing() -> None:
    con = connect()

    for setting in ("autoinstall_known_extensions", "autoload_known_extensions"):
        assert con.execute(f"SELECT current_setting('{setting}')").fetchone() == (False,)
    assert con.execute("SELECT current_setting('TimeZone')").fetchone() == ("UTC",)
    assert isinstance(con, duckdb.DuckDBPyConnection)
