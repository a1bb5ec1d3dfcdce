"""A project of one's own: the package from a built wheel, a folder of the user's, and whole processes."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
MINE = ROOT / "tests" / "own_project"
TRAINED, NIGHT, TODAY = "2024-03-20", "2024-03-21", "2024-03-29"
_CLINICS = """
CREATE TABLE booked_visits AS
    SELECT
        CAST(100 * day + n AS INTEGER) AS visit_id,
        'patient ' || (day * 7 + n * 5) % 60 AS patient,
        ['Graça', 'Lapa', 'Belém'][1 + n % 3] AS clinic,
        TIMESTAMPTZ '2024-01-01 08:00:00+00' + INTERVAL 1 DAY * day + INTERVAL 15 MINUTE * n AS begins_at,
        TIMESTAMPTZ '2023-12-20 10:00:00+00' + INTERVAL 1 DAY * day + INTERVAL 1 MINUTE * n AS booked_at
    FROM range(90) AS days (day), range(30) AS visits (n);
CREATE TABLE attended_visits AS
    SELECT
        visit_id, patient, clinic, begins_at,
        NOT ((visit_id * 37) % 11 < 2 OR (visit_id * 13) % 7 = 0 AND clinic = 'Lapa') AS came,
        begins_at + INTERVAL 2 HOUR AS recorded_at
    FROM booked_visits;
"""


@dataclass(frozen=True)
class Done:
    """What one process gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        """The one JSON document on stdout."""
        assert self.code == 0, self.err
        return json.loads(self.out)


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the wheel, and nothing of the checkout within reach."""

    bin: Path
    warehouse: Path

    def score(self, *arguments: str, cwd: Path, **environ: str) -> Done:
        """One call of the program in a process of its own."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SCORE_", "PYTHON"))}
        named = {"SCORE_WAREHOUSE": f"duckdb:///{self.warehouse}", "SCORE_TODAY": TODAY, **environ}
        done = subprocess.run(
            [self.bin / "score", *arguments],
            env={**kept, **named}, cwd=cwd, capture_output=True, encoding="utf-8", check=False, timeout=300,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel, built from this checkout and installed once for all workers; it finds its dependencies where we do."""
    shared = tmp_path_factory.getbasetemp().parent
    folder = (shared if "PYTEST_XDIST_WORKER" in os.environ else tmp_path_factory.mktemp("wheel")) / "installed"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "clinics.duckdb").exists():
            install(built_wheel(folder / "dist"), folder / "env")
            with duckdb.connect(str(folder / "making.duckdb")) as con:
                con.execute(_CLINICS)
            (folder / "making.duckdb").rename(folder / "clinics.duckdb")
    return Installed(folder / "env" / "bin", folder / "clinics.duckdb")


def built_wheel(folder: Path) -> Path:
    """The wheel of this checkout."""
    uv = shutil.which("uv")
    if find_spec("hatchling"):
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    elif uv:
        command = [uv, "build", "--wheel", "--quiet", "--out-dir", str(folder)]
    else:
        pytest.skip("neither hatchling nor uv is here to build the wheel")
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=300)
    [wheel] = folder.glob("*.whl")
    return wheel


def install(wheel: Path, env: Path) -> None:
    """Unpack a wheel into a fresh environment, as an installer does, with its script and the path to dependencies."""
    venv.create(env, with_pip=False, symlinks=True)
    [packages] = env.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(packages)
    (packages / "dependencies.pth").write_text(f"{Path(duckdb.__file__).parents[1]}\n")
    script = env / "bin" / "score"
    script.write_text(f"#!{env}/bin/python\nimport sys\nfrom jobs.cli import main\nsys.exit(main())\n")
    script.chmod(0o755)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A copy of the project in a folder whose name has spaces and other letters; a link leads to it."""
    folder = tmp_path / "Clínicas de Lisboa" / "visits"
    shutil.copytree(MINE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "link").symlink_to(folder)
    return folder


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Path]:
    """A folder that is none of ours, and that nobody leaves anything in."""
    folder = tmp_path / "empty"
    folder.mkdir()
    yield folder
    assert list(folder.iterdir()) == []


def test_a_project_is_trained_scored_replayed_and_proven_from_wherever_it_is_called(
    installed: Installed, mine: Path, empty: Path
) -> None:
    """Its feature module is called like one of the engine's, and `features/` says that it is a package."""
    named = ("--project", str(mine))
    unreleased = installed.score(*named, "train", "--as-of", TRAINED, cwd=empty)
    assert (unreleased.code, "score release" in unreleased.err) == (78, True), unreleased.err

    assert installed.score("release", cwd=mine).code == 0
    assert {line.split()[1] for line in (mine / "sql/visits/released.txt").read_text().splitlines()} == {
        "attendance_v1.sql", "labels_v1.sql", "visits_v1.sql"
    }  # fmt: skip
    trained = installed.score(*named, "train", "--as-of", TRAINED, "--json", cwd=empty).json
    assert trained["job"] == "visits"
    [run] = installed.score("run", "--as-of", NIGHT, "--json", cwd=mine / "sql" / "visits").json["runs"]
    assert run["status"] == "published"
    assert run["row_count"] == 30

    link = mine.parents[1] / "link"
    again = installed.score("backfill", "--as-of", NIGHT, "--json", cwd=empty, SCORE_PROJECT=str(link)).json["runs"]
    assert [(each["run_id"], each["status"]) for each in again] == [(run["run_id"], "already_published")]
    nights = installed.score(*named, "run", "--json", cwd=empty).json["runs"]
    assert [each["status"] for each in nights] == ["published"] * 8
    verified = installed.score(*named, "verify", "--all", "--retrain", "--threads", "2", "--json", cwd=empty).json
    assert [each["identical"] for each in verified["runs"]] == [True] * 9
    proven = installed.score("prove", "--as-of", NIGHT, "--json", cwd=mine / "features").json["proofs"]
    assert {each["name"]: each["held"] for each in proven} == {each["name"]: True for each in proven}
    assert len(proven) >= 12
    examined = installed.score("doctor", "--json", cwd=mine / "cron")
    wrong = [each for each in json.loads(examined.out)["checks"] if each["ok"] is False]
    assert [each["name"] for each in wrong if each["name"] != "packages"] == []

    assert (mine / "var" / "scores.duckdb").exists()
    assert "flight_delay" not in installed.score("sql", cwd=mine).out
