"""The edge: what the environment and the clock say."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from jobs.days import Calendar
from jobs.settings import SettingRefused, Settings, Told, read_settings
from jobs.warehouse.addresses import FileAddress

NOW = datetime(2013, 9, 1, 3, 59, 59, tzinfo=UTC)
NEW_YORK, UTC_DAYS = Calendar("America/New_York"), Calendar("UTC")


def read(**environ: str) -> Settings:
    return read_settings(environ, lambda: NOW)


def test_without_an_environment_the_state_lies_in_var_and_the_warehouse_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    for settings in (read(), read(SCORE_HOME="", SCORE_WAREHOUSE="", SCORE_TODAY="")):
        assert settings.home == tmp_path / "var"
        assert settings.warehouse == FileAddress(tmp_path / "var" / "warehouse.duckdb")
        assert settings.pinned_today is None


def test_the_warehouse_is_an_absolute_or_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert read(SCORE_WAREHOUSE="duckdb:////data/w.duckdb").warehouse == FileAddress(Path("/data/w.duckdb"))
    assert read(SCORE_WAREHOUSE="duckdb:///data/w.duckdb").warehouse == FileAddress(tmp_path / "data" / "w.duckdb")
    assert read(SCORE_HOME="/state").warehouse == FileAddress(Path("/state/warehouse.duckdb"))


@pytest.mark.parametrize(
    "url",
    [
        "mysql://analyst:hunter2@db/flights",
        "postgresql://analyst:hunter2@2@db/flights",
        "postgresql://analyst:hunter2 @db/flights",
        "postgresql://analyst:hunter2/x@db/flights",
        "postgresql:analyst:hunter2@db/flights",
        "grpc://analyst:hunter2@db:31337",
        "grpc://analyst:hunter2@db:31337?dialect=hunter2",
        "duckdb:///",
        "duckdb://w",
        "duckdb:w",
        "/data/hunter2.duckdb",
        "hunter2",
    ],
)
def test_a_warehouse_of_another_kind_is_refused_and_its_url_not_repeated(url: str) -> None:
    """It may hold a password."""
    with pytest.raises(SettingRefused, match="SCORE_WAREHOUSE cannot be used: ") as refused:
        read(SCORE_WAREHOUSE=url)

    assert "hunter2" not in str(refused.value)
    assert url not in str(refused.value).replace("duckdb:///path", "")


@pytest.mark.parametrize("name", ["SCORE_HOME", "SCORE_WAREHOUSE"])
def test_a_path_in_another_encoding_is_refused_by_name(name: str) -> None:
    """As os.environ gives bytes that are not UTF-8; no manifest could name such a file."""
    with pytest.raises(SettingRefused, match=f"{name} must be UTF-8"):
        read(**{name: "duckdb:////data/" + b"\xff".decode(errors="surrogateescape")})

    assert read(SCORE_HOME="/ü €").home == Path("/ü €")


def test_today_is_the_day_of_the_job_s_zone() -> None:
    """One second before midnight in New York it is 1 September in Greenwich."""
    assert read().today(NEW_YORK) == date(2013, 8, 31)
    assert read().today(UTC_DAYS) == date(2013, 9, 1)
    assert read(SCORE_TODAY="2013-02-28").today(NEW_YORK) == date(2013, 2, 28)


@pytest.mark.parametrize(
    "text", ["yesterday", "2013-02-29", "2013-9-1", "2013-09-01T00:00", "01.09.2013", " 2013-09-01", "x" * 300]
)
def test_a_today_that_is_no_date_is_refused_by_name(text: str) -> None:
    with pytest.raises(SettingRefused, match="SCORE_TODAY must be a date such as 2013-09-01, found") as refused:
        read(SCORE_TODAY=text)

    assert len(str(refused.value)) < 120


def test_the_clock_is_read_once_and_brought_to_utc() -> None:
    times = iter(datetime(2013, 9, 1, hour, tzinfo=timezone(timedelta(hours=9))) for hour in (8, 9))
    settings = read_settings({}, lambda: next(times))

    assert settings.now == datetime(2013, 8, 31, 23, tzinfo=UTC)
    assert settings.now.tzinfo is UTC
    assert settings.today(UTC_DAYS) == date(2013, 8, 31)
    assert settings.clock().hour == 9


def test_who_is_told_is_read_and_not_judged() -> None:
    """Nothing of it may stop a night; the ping URL is a secret, which no trace of settings shows."""
    told = read(SCORE_LOG="-", SCORE_METRICS="x.prom", SCORE_PING="nonsense-s3cret").told

    assert (told.log, told.metrics, told.ping) == ("-", "x.prom", "nonsense-s3cret")
    assert "s3cret" not in repr(told)
    assert read(SCORE_PING="").told == read().told == Told()


@pytest.mark.parametrize("name", ["a?b", "a\\b"])
def test_a_home_that_duckdb_cannot_open_is_refused_by_name(name: str) -> None:
    """Before anything is written into it."""
    with pytest.raises(SettingRefused, match="SCORE_HOME holds"):
        read_settings({"SCORE_HOME": f"/srv/{name}"}, lambda: datetime(2013, 9, 1, tzinfo=UTC))
