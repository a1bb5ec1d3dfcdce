"""The doctor: each thing that can be wrong with a machine is named, with what to do and its exit code."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from jobs import project
from jobs.definition import JobRefused, job_names
from jobs.doctor.checking import Diagnosis, Finding
from jobs.doctor.examining import examine
from jobs.doctor.telling import show_diagnosis
from jobs.environment import lock_files
from jobs.evidence import golden
from jobs.project import OURS
from jobs.screen import Screen, entries, silent
from jobs.settings import read_settings
from tests.jobs.evidence.tampering import flip, forge_version, one_ulp_more

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jobs.store.registry import ModelVersion
    from tests.conftest import Result, World

CHECKS = [
    "packages", "engine", "settings", "home", "disk", "file system", "staging", "readers", "log", "metrics", "ping",
    "definition", "sql", "lock", "warehouse", "events", "nights", "champion", "golden", "scores", "tables",
]  # fmt: skip


def found(result: Result) -> dict[str, dict]:
    """The checks of a call, by name."""
    return {check["name"]: check for check in result.json["checks"]}


def wrong(result: Result) -> list[str]:
    return [check["name"] for check in result.json["checks"] if check["ok"] is False]


def state(home: Path) -> dict[str, tuple]:
    """Every file and folder of a home, with content and times."""
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in sorted(home.rglob("*"))
        if path.name != "staging"  # a file comes and goes in it
    }


def test_a_machine_in_order_has_nothing_wrong_and_is_not_changed(world: World) -> None:
    before = state(world.home)

    result = world.run("doctor", "--json")

    assert (result.code, result.err) == (0, "")
    assert [check["name"] for check in result.json["checks"]] == CHECKS
    assert {check["ok"] for check in result.json["checks"]} == {True}
    assert state(world.home) == before
    assert list((world.home / "staging").iterdir()) == []


def test_all_of_the_environment_is_shown(world: World) -> None:
    """Versions, Python, platform, processor, C library, engine, lock file, code."""
    shown = world.run("doctor", "--json").json["environment"]

    assert {
        "duckdb", "lightgbm", "numpy", "polars", "pyarrow", "rescore", "sqlglot", "tzdata", "python", "machine",
        "system", "platform", "cpu", "libc", "scoring_engine", "lock", "code_features", "code_jobs", "code_models",
        "cores", "host",
    } <= shown.keys()  # fmt: skip
    assert all(f"{name} " in world.run("doctor").out for name in ("polars", "libc", "code_jobs"))


def test_a_home_that_is_not_made_yet_says_what_is_missing_and_is_not_made(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = world.home.with_name("nowhere") / "home"
    monkeypatch.setenv("SCORE_HOME", str(nowhere))

    result = world.run("doctor", "--json")

    assert (result.code, wrong(result)) == (66, ["champion"] * len(job_names()))
    assert "is not made yet" in found(result)["home"]["detail"]
    assert found(result)["golden"]["detail"] == "not looked at: needs `champion`"
    assert [found(result)[name]["ok"] for name in ("golden", "scores", "file system")] == [None] * 3
    assert "score train" in result.err
    assert not nowhere.parent.exists()


def test_what_needs_what_is_wrong_is_not_looked_at(world: World) -> None:
    flip(world.home / "format.json")

    result = world.run("doctor", "--json")

    assert (result.code, wrong(result)) == (80, ["home"])
    unseen = [name for name, check in found(result).items() if check["ok"] is None]
    assert unseen == [
        "disk", "file system", "staging", "readers", "lock", "warehouse", "events", "nights", "champion", "golden",
        "scores", "tables",
    ]  # fmt: skip
    assert all(found(result)[name]["detail"].startswith("not looked at: needs `") for name in unseen)


# What somebody, or time, does to a machine: how, the check that says so, its code, what it says.
type Breaking = Callable[[World, pytest.MonkeyPatch], object]


def no_disk(_world: World, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=499_000_000))


def no_inodes(_world: World, patch: pytest.MonkeyPatch) -> None:
    real = os.statvfs("/")
    named = {name: getattr(real, name) for name in dir(real) if name.startswith("f_")}
    patch.setattr("os.statvfs", lambda _path: SimpleNamespace(**{**named, "f_files": 1_000_000, "f_favail": 9_999}))


def fails(number: int) -> Breaking:
    """A file system that answers every fsync with an error."""

    def breaking(_world: World, patch: pytest.MonkeyPatch) -> None:
        def refused(path: Path) -> None:
            raise OSError(number, os.strerror(number), str(path))

        patch.setattr("jobs.doctor.of_the_place.sync_file", refused)

    return breaking


def no_lock_excludes(_world: World, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("jobs.doctor.of_the_place.fcntl.flock", lambda *_: None)


def refused_url(_world: World, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("SCORE_WAREHOUSE", "mysql://u:s3cret@h/db")


def another_package(_world: World, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        "jobs.doctor.of_the_installation.version", lambda name: "9.9.9" if name == "polars" else version(name)
    )


def missing_package(_world: World, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        "jobs.doctor.of_the_installation.lock_files",
        lambda of: [each.replace(b'"pytz"', b'"no-such-package"') for each in lock_files(of)],
    )


def no_lock_file(_world: World, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("jobs.doctor.of_the_installation.lock_files", lambda _: [])


def edited_sql(world: World, patch: pytest.MonkeyPatch) -> None:
    folder = world.home.with_name("sql")
    shutil.copytree(project.sql_root(), folder)
    patch.setattr(project, "sql_root", lambda: folder)
    with (folder / "flight_delay" / "weather_v1.sql").open("a") as file:
        file.write(" ")


def unreleased_sql(world: World, patch: pytest.MonkeyPatch) -> None:
    folder = world.home.with_name("sql")
    shutil.copytree(project.sql_root(), folder)
    patch.setattr(project, "sql_root", lambda: folder)
    (folder / "flight_delay" / "released.txt").unlink()


def refused_toml(_world: World, patch: pytest.MonkeyPatch) -> None:
    def refused(name: str, _project: object) -> None:
        raise JobRefused(f"{name}.toml: `key` is missing")

    patch.setattr("jobs.doctor.of_jobs.load_job", refused)


def refused_parameters(world: World, patch: pytest.MonkeyPatch) -> None:
    (world.home.parent / "models").mkdir()
    (world.home.parent / "models" / "flight_delay.toml").write_text("objective = 'ranking'\n")
    patch.setattr(project, "_HERE", world.home.parent / "jobs")
    shutil.copytree(Path(project.__file__).parent, world.home.parent / "jobs", ignore=lambda *_: ["__pycache__"])
    shutil.copytree(Path(project.__file__).parents[1] / "sql", world.home.parent / "sql")


def no_warehouse(world: World, _patch: pytest.MonkeyPatch) -> None:
    world.warehouse.unlink()


def another_file(world: World, _patch: pytest.MonkeyPatch) -> None:
    world.warehouse.write_bytes(b"no database")


def renamed_column(world: World, _patch: pytest.MonkeyPatch) -> None:
    world.sql("ALTER TABLE flight_outcomes RENAME arr_delay_min TO arrival_delay")


def missing_table(world: World, _patch: pytest.MonkeyPatch) -> None:
    world.sql("DROP TABLE weather")


def broken_chain(world: World, _patch: pytest.MonkeyPatch) -> None:
    (world.home / "events" / "flight_delay" / "00000001.json").unlink()


def damaged(pattern: str) -> Breaking:
    return lambda world, _patch: flip(min(world.home.glob(pattern)))


def damaged_golden_object(world: World, _patch: pytest.MonkeyPatch) -> None:
    text = next(world.home.glob("models/*/*/golden_night.json")).read_text()
    flip(next(path for path in sorted(world.home.glob("objects/*/*.parquet")) if path.stem in text))


def no_champion_yet(_world: World, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("SCORE_TODAY", "2013-04-09")


def promoted(world: World, forged: ModelVersion) -> None:
    assert world.run("promote", forged.version, "--unproven", "--from", "2013-04-12", "--reason", "as good").code == 0
    assert world.run("run").code == 0  # for the views


def other_sql(world: World, _patch: pytest.MonkeyPatch) -> None:
    tables = dict.fromkeys(("airports", "labels", "outcomes", "planes", "timetable", "weather"), "0" * 64)
    promoted(world, forge_version(world.home, sql_fingerprints=tables))


def one_bit_of_a_leaf(world: World, _patch: pytest.MonkeyPatch) -> None:
    promoted(world, forge_version(world.home, one_ulp_more))


def other_features_elsewhere(_world: World, patch: pytest.MonkeyPatch) -> None:
    real = golden.build_night
    patch.setattr(golden, "build_night", lambda *given: real(*given).head(1))
    patch.setattr(golden, "lock_sha256", lambda _: "0" * 64)


def views_behind(world: World, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("SCORE_TODAY", "2013-04-13")
    with patch.context() as inner:
        inner.setattr("jobs.steps.nights.refresh_views", lambda *_: False)
        assert world.run("run").code == 0


def no_views(world: World, _patch: pytest.MonkeyPatch) -> None:
    (world.home / "scores.duckdb").unlink()


def writable_views(world: World, _patch: pytest.MonkeyPatch) -> None:
    (world.home / "scores.duckdb").chmod(0o644)


def no_scores_behind_the_views(world: World, _patch: pytest.MonkeyPatch) -> None:
    next(world.home.glob("runs/*/*/*/scores.parquet")).unlink()


def private_umask(_world: World, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("jobs.doctor.of_the_place._umask", lambda: 0o077)


def private_files(world: World, _patch: pytest.MonkeyPatch) -> None:
    next(world.home.glob("runs/*/*/*/scores.parquet")).chmod(0o600)


def private_folder(world: World, _patch: pytest.MonkeyPatch) -> None:
    (world.home / "runs" / "flight_delay").chmod(0o700)


def another_user(_world: World, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("os.geteuid", lambda: 12345)


def read_only(world: World, patch: pytest.MonkeyPatch) -> None:
    real = os.access
    events = str(world.home / "events" / "flight_delay")
    patch.setattr("os.access", lambda path, mode: str(path) != events and real(path, mode))


def read_only_disk(_world: World, patch: pytest.MonkeyPatch) -> None:
    real = os.statvfs("/")
    named = {name: getattr(real, name) for name in dir(real) if name.startswith("f_")}
    patch.setattr("os.statvfs", lambda _path: SimpleNamespace(**{**named, "f_flag": os.ST_RDONLY}))
    patch.setattr("os.access", lambda _path, mode: not mode & os.W_OK)


def told_at(name: str, value: str) -> Breaking:
    """Somebody who shall be told, where nothing can be told."""
    return lambda world, patch: patch.setenv(name, value.format(here=world.home.parent))


def log_of_another(world: World, patch: pytest.MonkeyPatch) -> None:
    (world.home.parent / "log").touch()
    real = os.access
    patch.setattr("os.access", lambda path, mode: path != world.home.parent / "log" and real(path, mode))
    patch.setenv("SCORE_LOG", str(world.home.parent / "log"))


BROKEN: dict[str, tuple[Breaking, str, int, str]] = {
    "another version than the locked one": (another_package, "packages", 78, "polars 9.9.9 (locked: 2."),
    "a package that is missing": (missing_package, "packages", 78, "no-such-package is missing"),
    "no lock file": (no_lock_file, "packages", 78, "install rescore again"),
    "a URL with a password": (refused_url, "settings", 78, "duckdb:///path"),
    "a folder that cannot be written": (read_only, "home", 77, "events/flight_delay cannot be written by"),
    "a read-only disk": (read_only_disk, "home", 74, "is read-only"),
    "too little disk": (no_disk, "disk", 74, "499 MB are free"),
    "too few inodes": (no_inodes, "disk", 74, "df -i"),
    "no fsync": (fails(errno.EINVAL), "file system", 74, "fsync, flock and rename"),
    "a disk that turns read-only": (fails(errno.EROFS), "file system", 74, "Read-only file system"),
    "locks that do not exclude": (no_lock_excludes, "file system", 74, "does not keep others out"),
    "another user": (another_user, "readers", 77, "run as"),
    "a private umask": (private_umask, "readers", 77, "umask 0077"),
    "private scores": (private_files, "readers", 77, "chmod go+rX"),
    "a private folder": (private_folder, "readers", 77, "runs/flight_delay can be read by its owner only"),
    "a log in no folder": (told_at("SCORE_LOG", "{here}/no/log"), "log", 78, "/no is not there; make it"),
    "a log that is a folder": (told_at("SCORE_LOG", "{here}"), "log", 78, "name a file in it"),
    "a log of another": (log_of_another, "log", 78, "/log cannot be written"),
    "figures in no folder": (told_at("SCORE_METRICS", "{here}/no/x.prom"), "metrics", 78, "/no is not there; make it"),
    "figures that nobody collects": (told_at("SCORE_METRICS", "{here}/x.txt"), "metrics", 78, "ends in .prom"),
    "a ping to a file": (told_at("SCORE_PING", "file:///etc/passwd"), "ping", 78, "https://hc-ping.com/UUID"),
    "a refused TOML": (refused_toml, "definition", 78, "`key` is missing"),
    "refused parameters": (refused_parameters, "definition", 78, "objective"),
    "edited SQL": (edited_sql, "sql", 80, "weather_v1.sql was edited"),
    "unreleased SQL": (unreleased_sql, "sql", 78, "score release"),
    "no warehouse": (no_warehouse, "warehouse", 66, "score demo --load-only"),
    "another file": (another_file, "warehouse", 66, "is no DuckDB file"),
    "a renamed column": (renamed_column, "warehouse", 65, "arr_delay_min"),
    "a missing table": (missing_table, "warehouse", 65, "weather_v1.sql"),
    "a missing event": (broken_chain, "events", 80, "00000001.json is missing"),
    "no champion yet": (no_champion_yet, "champion", 66, "2013-04-10"),
    "a damaged model": (damaged("models/*/*/model.txt"), "champion", 80, "model.txt"),
    "a damaged lock file": (damaged("models/*/*/uv.lock"), "champion", 80, "uv.lock"),
    "a damaged training record": (damaged("models/*/*/trained.json"), "champion", 80, "trained.json"),
    "damaged golden rows": (damaged("models/*/*/golden_rows.parquet"), "champion", 80, "golden_rows.parquet"),
    "a damaged golden night": (damaged("models/*/*/golden_night.json"), "champion", 80, "golden_night.json"),
    "a damaged row of the golden night": (damaged_golden_object, "champion", 80, "is not what was written"),
    "SQL that the champion does not know": (other_sql, "champion", 66, "trained with other SQL than"),
    "another bit of a golden row": (one_bit_of_a_leaf, "golden", 81, "golden rows another raw score"),
    "other features elsewhere": (other_features_elsewhere, "golden", 81, "golden night of model"),
    "views that are behind": (views_behind, "scores", 3, "score run"),
    "no views": (no_views, "scores", 3, "score run"),
    "views that can be written": (writable_views, "scores", 77, "chmod a-w"),
    "views of nothing": (no_scores_behind_the_views, "scores", 80, "score verify --all"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_wrong_is_named_with_its_code_and_what_to_do(
    world: World, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """One line a check, one on stderr; no trace, no password; staging as it was."""
    break_it, check, code, said = BROKEN[what]
    break_it(world, monkeypatch)

    result = world.run("doctor", "--json")

    assert wrong(result)[0] == check, result.out
    assert result.code == code
    assert said in found(result)[check]["detail"]
    assert [line.startswith(f"score: {check} is wrong") for line in result.err.splitlines()] == [True]
    assert "Traceback" not in result.out + result.err
    assert "a bug" not in result.out
    assert "s3cret" not in result.out + result.err
    assert list((world.home / "staging").iterdir()) == []


def test_a_warehouse_that_is_open_for_writing_is_unavailable(world: World) -> None:
    program = (
        f"import duckdb, time; c = duckdb.connect({str(world.warehouse)!r}); print('open', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline().strip() == "open"
        result = world.run("doctor", "--json")
        writer.kill()

    assert (result.code, wrong(result)) == (69, ["warehouse"])


@pytest.mark.usefixtures("world")
def test_a_machine_without_openmp_is_told_so_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    """LightGBM does not even load; whatever needs it is not looked at."""
    (tmp_path / "fake" / "lightgbm").mkdir(parents=True)
    (tmp_path / "fake" / "lightgbm" / "__init__.py").write_text(
        "raise OSError('libgomp.so.1: cannot open shared object file: No such file or directory')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", "from jobs.cli import main; main()", "doctor"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path / 'fake'}{os.pathsep}{Path.cwd()}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 78
    assert "apt-get install libgomp1" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    for line in ("-      nights", "-      champion", "ok     warehouse", "ok     scores", "21 checks: 1 wrong, 3 not"):
        assert any(each.startswith(line) for each in done.stdout.splitlines()), line


@contextmanager
def holding(path: Path) -> Iterator[None]:
    with path.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def test_a_busy_job_and_abandoned_staging_are_told_and_no_fault(world: World) -> None:
    """Who works on it; what the next start drops. Neither is touched."""
    abandoned, used = world.home / "staging" / "1-dead", world.home / "staging" / "2-alive"
    for folder in (abandoned, used):
        folder.mkdir()
        (folder / ".owner").touch()
    (abandoned / "half.parquet").write_bytes(b"x" * 2_000_000)

    with holding(world.home / "locks" / "flight_delay.lock"), holding(used / ".owner"):
        result = world.run("doctor", "--json")

    assert (result.code, wrong(result)) == (0, [])
    assert found(result)["lock"]["detail"].startswith(f"held by process {os.getpid()}, since ")
    assert found(result)["staging"]["detail"].startswith("1 abandoned, 2.0 MB")
    assert found(result)["scores"]["detail"] == "not looked at: a job is being worked on"
    assert sorted(path.name for path in abandoned.iterdir()) == [".owner", "half.parquet"]


def test_the_clock_and_the_missed_nights_are_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCORE_TODAY", "2013-04-15")

    assert found(world.run("doctor", "--json"))["nights"]["detail"] == (
        "2013-04-15 in America/New_York (SCORE_TODAY) is open; missed before it: 2; "
        "the next begins at 2013-04-16T04:00:00+00:00"
    )


def test_a_clock_that_was_set_back_is_wrong(world: World) -> None:
    """What is on record has happened."""
    named = {"SCORE_HOME": str(world.home), "SCORE_WAREHOUSE": f"duckdb:///{world.warehouse}"}
    then = datetime(2020, 1, 1, tzinfo=UTC)

    diagnosis = examine(lambda: read_settings(named, lambda: then), OURS, None, silent)

    assert [(each.name, each.code) for each in diagnosis.wrong] == [("nights", 78)]
    assert "2020-01-01" in diagnosis.wrong[0].detail


def test_a_bug_of_one_check_leaves_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object) -> None:
        raise ZeroDivisionError("secret row contents")

    monkeypatch.setattr("jobs.doctor.of_jobs.read_chain", broken)
    result = world.run("doctor", "--json")

    assert (result.code, wrong(result)) == (70, ["events", "scores"])
    assert "secret" not in result.out + result.err


def test_one_job_is_looked_at_or_none_of_that_name(world: World) -> None:
    assert world.run("doctor", "flight_delay").code == 0
    result = world.run("doctor", "no_such_job")

    assert result.code == 66
    assert result.err.startswith("score: there is no job `no_such_job`")


def test_a_check_is_told_with_its_job_where_there_are_several(capfd: pytest.CaptureFixture[str]) -> None:
    findings = (
        Finding("packages", "", ok=True, detail="27"),
        Finding("lock", "a", ok=False, detail="gone", code=74),
        Finding("lock", "b", ok=False, detail="gone too", code=66),
        Finding("golden", "b", ok=None, detail="not looked at: needs `lock`"),
    )

    assert show_diagnosis(Screen(as_json=False), Diagnosis({"cpu": "avx", "libc": None}, findings)) == 74
    said = capfd.readouterr()
    assert said.out.splitlines() == [
        "cpu   avx",
        "libc  -",
        "",
        "ok     packages     27",
        "WRONG  lock of a    gone",
        "WRONG  lock of b    gone too",
        "-      golden of b  not looked at: needs `lock`",
        "4 checks: 2 wrong, 1 not looked at",
    ]
    assert said.err == "score: lock of a is wrong (and 1 more): gone\n"


def test_a_long_detail_goes_on_below_itself_in_a_narrow_terminal(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.screen._width", lambda: 40)
    entries([("ok", "cpu", "avx avx2 avx512f bmi1 bmi2 f16c fma sse"), ("WRONG", "home", "")])

    assert capfd.readouterr().out.splitlines() == [
        "ok     cpu   avx avx2 avx512f bmi1 bmi2",
        "             f16c fma sse",
        "WRONG  home",
    ]


def test_those_who_are_told_are_looked_at_and_hear_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them is a line; the secret of the ping's URL stands in none of them."""
    here = world.home.parent
    for name, value in {"LOG": here / "log", "METRICS": here / "x.prom", "PING": "http://127.0.0.1:1/s3cret"}.items():
        monkeypatch.setenv(f"SCORE_{name}", str(value))
    before = sorted(here.iterdir())
    result = world.run("doctor", "--json")

    assert (result.code, result.err) == (0, "")
    assert [found(result)[name]["detail"] for name in ("log", "metrics", "ping")] == [
        f"lines go to {here / 'log'}", f"figures go to {here / 'x.prom'}", "the URL is well formed; it was not pinged",
    ]  # fmt: skip
    assert "s3cret" not in result.out
    assert sorted(here.iterdir()) == before
