"""Files of rows in batches: the same bytes and digests as at once, and a night that is scored so is the same night."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from features import flight_delay
from features.contract import RowsDiffer
from jobs.steps.scoring import follows, ranks
from jobs.store import batches
from jobs.store.batches import in_batches, open_rows_file, write_batches
from jobs.store.digest import rows_digest
from jobs.store.objects import ObjectDamaged, seal_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import World

ROW_GROUP = 122_880
NIGHT = "2013-04-12"


def _frame(rows: int) -> pl.DataFrame:
    """Rows with text, nulls, numbers and days."""
    n = pl.int_range(rows, eager=True)
    return pl.DataFrame(
        {
            "key": n,
            "text": pl.select(pl.when(n % 7 != 0).then(pl.concat_str(pl.lit("é"), n % 1000))).to_series(),
            "share": n.cast(pl.Float64) / 3,
            "count": pl.select(pl.when(n % 5 != 0).then(n % 90)).to_series().cast(pl.Int32),
        }
    )


def test_a_file_has_the_same_bytes_in_however_many_pieces_its_rows_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two row groups and a half, at once and in batches of one row group."""
    rows = _frame(ROW_GROUP * 5 // 2)
    whole = write_batches([rows], tmp_path / "whole.parquet")

    monkeypatch.setattr(batches, "BATCH_ROWS", ROW_GROUP)
    parts = write_batches(rows.iter_slices(50_000), tmp_path / "parts.parquet")

    assert whole.whole is not None
    assert parts.whole is None
    assert (tmp_path / "parts.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert (parts.rows, parts.columns, parts.seal) == (whole.rows, whole.columns, whole.seal)
    assert parts.digest == whole.digest == rows_digest(rows)
    assert parts.digest_of(["key", "share"]) == rows_digest(rows.select("key", "share"))
    assert [each.height for each in parts.batches()] == [ROW_GROUP, ROW_GROUP, ROW_GROUP // 2]
    assert pl.concat(parts.batches(["text", "key"])).equals(rows.select("text", "key"))
    opened = open_rows_file(tmp_path / "parts.parquet", parts.seal)
    assert (opened.columns, opened.whole) == (whole.columns, None)


def test_batches_hold_every_row_once_and_are_of_one_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_ROWS", 10)
    rows = _frame(47)

    found = list(in_batches([rows[:3], rows[3:4], rows[4:40], rows[40:]]))

    assert [each.height for each in found] == [10, 10, 10, 10, 7]
    assert pl.concat(found).equals(rows)
    assert [each.height for each in in_batches([rows[:0]])] == [0]


def test_what_fails_while_a_batch_is_made_is_what_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not DuckDB's words about it: a known failure has its own exit code."""
    monkeypatch.setattr(batches, "BATCH_ROWS", 10)

    def breaking() -> Iterator[pl.DataFrame]:
        yield _frame(25)
        raise RowsDiffer("the third batch is broken")

    with pytest.raises(RowsDiffer, match="the third batch"):
        write_batches(breaking(), tmp_path / "rows.parquet")


def test_a_file_that_is_no_file_of_rows_is_damage(tmp_path: Path) -> None:
    """Also where somebody made the seal fit."""
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"PAR1 nothing PAR1")

    with pytest.raises(ObjectDamaged, match="is no file of rows"):
        open_rows_file(path, seal_of(path))


def test_a_batch_has_to_follow_the_one_before_it() -> None:
    """Strictly, by as-of and key: so no key comes twice in different batches."""
    batch = pl.DataFrame({"as_of": [1, 1, 1], "carrier": ["AA", "B6", "UA"], "flight": [7, 3, 3], "x": [0, 0, 0]})
    key = ("carrier", "flight")

    last = follows(batch, key, None)

    assert last.rows() == [(1, "UA", 3)]
    follows(batch.with_columns(carrier=pl.lit("UA"), flight=pl.Series([4, 5, 6])), key, last)
    for wrong in (batch, batch[2:], batch.reverse(), batch.with_columns(carrier=pl.lit("ZZ"))):
        with pytest.raises(RowsDiffer, match="in the order of as_of, carrier, flight"):
            follows(wrong, key, last)


def test_ranks_are_by_raw_score_and_ties_keep_their_order() -> None:
    """The two zeros are a tie, as they are where frames are sorted."""
    raw = np.array([0.5, -0.0, 2.5, 0.0, -1e-320, 2.5, -3.0])
    frame = pl.DataFrame({"raw": raw, "place": range(len(raw))})
    by_sorting = frame.sort(["raw", "place"], descending=[True, False]).with_row_index("rank", 1).sort("place")

    assert ranks(raw).tolist() == by_sorting["rank"].to_list() == [3, 4, 1, 5, 6, 2, 7]


def _files(world: World) -> dict[str, bytes]:
    """What a night left of its run, but for the record of how it was executed."""
    found = sorted((world.home / "runs").rglob("*.*"))
    return {str(path.relative_to(world.home)): path.read_bytes() for path in found if path.name != "execution.json"}


def test_a_night_in_batches_is_the_night_at_once_and_is_replayed_so(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Features that come piece by piece, files of many batches: the same run, byte by byte; what differs is found."""
    shutil.copytree(world.home, tmp_path / "before")
    world.run("run", "--as-of", NIGHT)
    at_once = _files(world)
    monkeypatch.setattr(batches, "BATCH_ROWS", 100)

    def pieces(*arguments: object) -> Iterator[pl.DataFrame]:
        return flight_delay.build_features(*arguments).iter_slices(33)  # type: ignore[arg-type]

    monkeypatch.setattr(flight_delay, "feature_batches", pieces, raising=False)
    assert world.run("verify", "--json").json["runs"][0]["identical"]
    shutil.rmtree(world.home)
    (tmp_path / "before").rename(world.home)
    assert world.run("run", "--as-of", NIGHT).code == 0
    assert _files(world) == at_once

    def another(*arguments: object) -> Iterator[pl.DataFrame]:
        frames = list(pieces(*arguments))
        return iter([*frames[:-1], frames[-1].with_columns(pl.col("weekday") + 1)])

    monkeypatch.setattr(flight_delay, "feature_batches", another)
    found = world.run("verify", "--json").json["runs"][0]
    assert (found["first_divergence"], "the first is weekday" in found["detail"]) == ("features", True)
