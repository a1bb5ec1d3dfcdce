"""Figures for Prometheus: a file that its collector reads, and that remembers what a run does not know."""

from __future__ import annotations

import fcntl
import os
import re
import threading
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from jobs.exits import Failure
from jobs.project import OURS
from jobs.steps.nights import Outcome
from jobs.telling.figures import figures_of
from jobs.telling.metrics import GAUGES, Figures, read_metrics, write_metrics
from tests.jobs.telling.conftest import NIGHT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import World

AT = datetime(2013, 9, 1, 4, 45, tzinfo=UTC)
LATER = datetime(2013, 9, 2, 4, 45, tzinfo=UTC)
JOBS = ("a", "b")
SUCCESS, CODE = "rescore_last_success_timestamp_seconds", "rescore_last_run_exit_code"

# The text format, as far as gauges with one label go: https://prometheus.io/docs/instrumenting/exposition_formats/
HELP = re.compile(r"# HELP ([a-z_]+) [^\\\n]+")
TYPE = re.compile(r"# TYPE ([a-z_]+) gauge")
SERIES = re.compile(r'([a-z_]+)\{score_job="([a-z_]+)"\} [0-9]+(\.[0-9]+)?(e[+-][0-9]+)?')


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rescore.prom"


def test_the_file_is_in_the_text_format_with_help_and_type_before_the_series(path: Path) -> None:
    found = Figures(0, 3, 1, 2, AT, 968, 1e-05)
    write_metrics(path, {"b": found, "a": found}, JOBS, AT, 66.04)
    text = path.read_text()
    lines = text.splitlines()

    assert text.endswith("\n")
    assert len(lines) == 4 * len(GAUGES)
    for at, name in enumerate(GAUGES):
        said = [
            pattern.fullmatch(line)
            for pattern, line in zip((HELP, TYPE, SERIES, SERIES), lines[4 * at :], strict=False)
        ]
        assert [each and each[1] for each in said] == [name] * 4
        assert [each and each[2] for each in said[2:]] == ["a", "b"]


def test_names_are_as_prometheus_wants_them() -> None:
    """Of this program, with the unit last and in base units; nothing that looks like a counter or a histogram."""
    for name, meaning in GAUGES.items():
        assert re.fullmatch(r"rescore_[a-z_]+[a-z]", name)
        assert not name.endswith(("_total", "_count", "_sum", "_bucket", "_info"))
        assert ("timestamp" in name) <= name.endswith("_timestamp_seconds")
        assert meaning.endswith(".")


def test_a_failure_is_left_there_and_the_last_success_stays(path: Path) -> None:
    write_metrics(path, {"a": Figures(0, published=1, newest_at=AT, newest_rows=9, unseen=0.25)}, JOBS, AT, 1.0)
    write_metrics(path, {"a": Figures(69)}, JOBS, LATER, 2.0)
    found = read_metrics(path)

    assert found[CODE, "a"] == 69
    assert found[SUCCESS, "a"] == AT.timestamp()
    assert found["rescore_last_run_timestamp_seconds", "a"] == LATER.timestamp()
    assert found["rescore_last_run_duration_seconds", "a"] == 2.0
    assert found["rescore_newest_night_timestamp_seconds", "a"] == AT.timestamp()
    assert found["rescore_newest_night_rows", "a"] == 9
    assert found["rescore_unseen_label_ratio", "a"] == 0.25


def test_what_never_succeeded_is_zero_so_that_an_alert_sees_it(path: Path) -> None:
    write_metrics(path, {"a": Figures(66)}, JOBS, AT, 1.0)

    assert read_metrics(path)[SUCCESS, "a"] == 0


def test_a_job_that_did_not_run_keeps_its_figures_and_one_that_is_gone_is_forgotten(path: Path) -> None:
    write_metrics(path, {"a": Figures(0), "b": Figures(65), "c": Figures(0)}, ("a", "b", "c"), AT, 1.0)
    write_metrics(path, {"a": Figures(0)}, JOBS, LATER, 1.0)
    found = read_metrics(path)

    assert {job for _, job in found} == {"a", "b"}
    assert (found[CODE, "b"], found[SUCCESS, "a"]) == (65, LATER.timestamp())


def test_an_older_night_by_hand_does_not_set_the_newest_one_back(path: Path) -> None:
    write_metrics(path, {"a": Figures(0, newest_at=LATER, newest_rows=2)}, JOBS, LATER, 1.0)
    write_metrics(path, {"a": Figures(0, newest_at=AT, newest_rows=1)}, JOBS, LATER, 1.0)

    assert read_metrics(path)["rescore_newest_night_timestamp_seconds", "a"] == LATER.timestamp()
    assert read_metrics(path)["rescore_newest_night_rows", "a"] == 2


@pytest.mark.parametrize(
    "left", [b"\xff\x00garbage", b'rescore_last_run_exit_code{score_job="b"} 1.2.3\n', b"{" * 100_000]
)
def test_a_damaged_file_is_begun_anew(path: Path, left: bytes) -> None:
    path.write_bytes(left)
    write_metrics(path, {"a": Figures(0)}, JOBS, AT, 1.0)

    assert {job for _, job in read_metrics(path)} == {"a"}


def test_whoever_writes_waits_for_the_others(path: Path) -> None:
    """Else one of two jobs that end together would write what the other's figures were before."""
    folder = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    thread = threading.Thread(target=write_metrics, args=(path, {"a": Figures(0)}, JOBS, AT, 1.0))
    thread.start()
    thread.join(0.3)
    waited = not path.exists()
    os.close(folder)
    thread.join(10)

    assert waited
    assert read_metrics(path)[CODE, "a"] == 0


def test_a_missing_folder_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_metrics(tmp_path / "textfile" / "x.prom", {}, JOBS, AT, 1.0)

    assert list(tmp_path.iterdir()) == []


def test_the_collector_may_read_the_file_and_finds_nothing_else(path: Path) -> None:
    write_metrics(path, {"a": Figures(0)}, JOBS, AT, 1.0)

    assert path.stat().st_mode & 0o444 == 0o444
    assert list(path.parent.iterdir()) == [path]


def test_nights_that_wait_are_no_failed_nights() -> None:
    night = date(2013, 4, 12)
    outcomes = [
        Outcome("flight_delay", night, "failed", failure=Failure(65, "empty")),
        Outcome("flight_delay", night, "published"),
        Outcome("flight_delay", night, "failed", failure=Failure(3, "7 more nights wait"), waiting=7),
    ]

    assert figures_of(outcomes, OURS) == {"flight_delay": Figures(3, published=1, failed=1, waiting=7)}


def test_the_figures_of_a_night_are_those_of_its_run(world: World, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As-of 2013-04-12 begins at four in the morning in Greenwich."""
    monkeypatch.setenv("SCORE_METRICS", str(path))
    run = world.run("run", "--as-of", NIGHT, "--json").json["runs"][0]
    found = {name: value for (name, job), value in read_metrics(path).items() if job == "flight_delay"}
    again = world.run("run", "--as-of", NIGHT)
    now = {name: value for (name, _), value in read_metrics(path).items()}

    assert found.keys() == GAUGES.keys()
    assert found["rescore_newest_night_timestamp_seconds"] == datetime(2013, 4, 12, 4, tzinfo=UTC).timestamp()
    assert found["rescore_newest_night_rows"] == run["row_count"]
    assert (found["rescore_last_run_nights_published"], now["rescore_last_run_nights_published"]) == (1, 0)
    assert found["rescore_last_run_duration_seconds"] > 0
    assert again.code == 0
    assert found["rescore_last_success_timestamp_seconds"] == found["rescore_last_run_timestamp_seconds"]
    assert {name for name, value in now.items() if value != found[name]} == {
        SUCCESS, "rescore_last_run_timestamp_seconds", "rescore_last_run_duration_seconds",
        "rescore_last_run_nights_published",
    }  # fmt: skip


def test_unseen_labels_are_told_as_a_share_of_the_night_s_rows(
    world: World, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCORE_METRICS", str(path))
    world.sql(
        "UPDATE scheduled_flights SET dest = 'XXX' WHERE flight_date = DATE '2013-04-12' AND (carrier, flight) IN "
        "(SELECT (carrier, flight) FROM scheduled_flights WHERE flight_date = DATE '2013-04-12' LIMIT 1)"
    )
    run = world.run("run", "--as-of", NIGHT, "--json").json["runs"][0]

    assert read_metrics(path)["rescore_unseen_label_ratio", "flight_delay"] == 1 / run["row_count"]


def test_a_run_that_fails_before_any_night_leaves_its_failure(
    world: World, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCORE_METRICS", str(path))
    world.run("run", "--as-of", NIGHT)
    before = read_metrics(path)
    monkeypatch.setenv("SCORE_WAREHOUSE", "nonsense")
    world.run("run", "--as-of", "2013-04-13")
    after = read_metrics(path)

    assert after[CODE, "flight_delay"] == 78
    assert after[SUCCESS, "flight_delay"] == before[SUCCESS, "flight_delay"]


def test_what_a_person_types_by_day_changes_no_figures(
    world: World, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the nightly command is watched."""
    monkeypatch.setenv("SCORE_METRICS", str(path))
    world.run("backfill", "--as-of", NIGHT)
    world.run("run", "no_such_job")

    assert not any(job == "flight_delay" for _, job in (read_metrics(path) if path.exists() else {}))
