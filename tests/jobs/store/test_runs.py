"""Runs: known by what they were computed from, kept once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pytest

from jobs.store.documents import DocumentDamaged
from jobs.store.home import staging
from jobs.store.objects import FileSeal
from jobs.store.runs import (
    Run,
    RunDamaged,
    RunInputs,
    RunMissing,
    find_by_prefix,
    find_run,
    keep_run,
    kept_runs,
    read_run,
)

if TYPE_CHECKING:
    from pathlib import Path

    from jobs.store.home import Home

INPUTS = RunInputs(
    "flight_delay",
    date(2013, 9, 1),
    "5" * 64,
    {"outcomes": "1" * 64, "planes": "2" * 64},
    "f" * 64,
    "2013-06-01-abcdef012345",
)
RUN = Run(
    inputs=INPUTS,
    row_count=3,
    feature_digests=(("month", "int8", "a" * 64),),
    features_digest="b" * 64,
    scores_digest="c" * 64,
    published_digest="d" * 64,
    files={"scores.parquet": FileSeal("e" * 64, 99)},
)


def keep(home: Home, run: Run, at: str = "first") -> Path:
    with staging(home) as staged:
        folder = staged / "run"
        folder.mkdir()
        keep_run(home, run, folder, {"at": at})
    return home.runs(run.inputs.job, run.inputs.as_of) / run.run_id


def test_a_run_reads_back_as_it_was_kept(home: Home) -> None:
    assert find_run(home, INPUTS) is None

    folder = keep(home, RUN)

    assert read_run(folder) == find_run(home, INPUTS) == RUN
    assert sorted(path.name for path in folder.iterdir()) == ["execution.json", "manifest.json"]


def test_a_run_that_is_kept_already_stays(home: Home) -> None:
    folder = keep(home, RUN)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    keep(home, replace(RUN, scores_digest="0" * 64), at="second")

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_every_input_makes_another_run_and_their_order_does_not() -> None:
    changed = {
        INPUTS.run_id,
        replace(INPUTS, job="other").run_id,
        replace(INPUTS, as_of=date(2013, 9, 2)).run_id,
        replace(INPUTS, snapshot_digest="0" * 64).run_id,
        replace(INPUTS, sql_fingerprints={"outcomes": "1" * 64}).run_id,
        replace(INPUTS, feature_fingerprint="0" * 64).run_id,
        replace(INPUTS, model_version="2013-06-01-abcdef012346").run_id,
    }

    assert len(changed) == 7
    assert all(len(run_id) == 32 for run_id in changed)
    assert replace(INPUTS, sql_fingerprints={"planes": "2" * 64, "outcomes": "1" * 64}).run_id == INPUTS.run_id


def test_a_run_under_another_name_as_of_or_job_is_refused(home: Home) -> None:
    folder = keep(home, RUN)
    for place in (
        folder.with_name("0" * 32),
        home.runs("flight_delay", date(2013, 9, 2)) / RUN.run_id,
        home.runs("other", date(2013, 9, 1)) / RUN.run_id,
    ):
        place.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(place)
        with pytest.raises(RunDamaged, match="is of another run than its folder's name says"):
            read_run(place)
        place.rename(folder)


def test_a_damaged_manifest_is_found(home: Home) -> None:
    manifest = keep(home, RUN) / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"row_count":3', b'"row_count":4'))

    with pytest.raises(DocumentDamaged):
        find_run(home, INPUTS)


def test_a_run_is_found_by_the_beginning_of_its_id(home: Home) -> None:
    second = replace(RUN, inputs=replace(INPUTS, as_of=date(2013, 9, 2)))
    folders = (keep(home, RUN), keep(home, second))

    assert kept_runs(home, ["other", "flight_delay"]) == folders
    assert find_by_prefix(home, RUN.run_id[:8], ["flight_delay"]) == RUN
    for prefix in ("", "../", RUN.run_id + "0"):
        with pytest.raises(RunMissing, match="no kept run's id begins with"):
            find_by_prefix(home, prefix, ["flight_delay"])
    with pytest.raises(RunMissing, match="2 kept runs' ids begin"):
        find_by_prefix(home, RUN.run_id[:8], ["flight_delay", "flight_delay"])
