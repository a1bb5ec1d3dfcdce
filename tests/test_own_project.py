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
        return self.python(str(self.bin / "score"), *arguments, cwd=cwd, **environ)

    def python(self, *arguments: str, cwd: Path, **environ: str) -> Done:
        """One process of the environment's Python."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SCORE_", "PYTHON"))}
        named = {"SCORE_WAREHOUSE": f"duckdb:///{self.warehouse}", "SCORE_TODAY": TODAY, **environ}
        done = subprocess.run(
            [self.bin / "python", *arguments],
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


def released(installed: Installed, mine: Path) -> None:
    assert installed.score("release", cwd=mine).code == 0


def by_cron(installed: Installed, mine: Path, log: Path) -> None:
    """The nightly line of the project's crontab, with the paths of this test, in the folder in which cron begins."""
    text = (mine / "cron" / "crontab").read_text(encoding="utf-8")
    for there, here in (
        ("duckdb:////srv/warehouse/clinics.duckdb", f"duckdb:///{installed.warehouse}"),
        ("/opt/rescore/bin/score", str(installed.bin / "score")),
        ("/srv/visits", str(mine)),
        ("/var/log/visits.log", str(log)),
    ):
        assert there in text
        text = text.replace(there, here)
    *named, line = [line for line in text.splitlines() if line and not line.startswith("#")]
    environ = dict(line.split("=", 1) for line in named)
    subprocess.run(
        ["/bin/sh", "-c", line.split(None, 6)[6]],
        env={"PATH": os.environ["PATH"], "SCORE_TODAY": TODAY, **environ}, cwd="/", check=True, timeout=300,
    )  # fmt: skip
    assert "published visits as of 2024-03-29" in log.read_text(encoding="utf-8")


def checks(done: Done) -> dict[str, dict]:
    """What `score doctor --json` said, by check. Whoever runs the tests may have other packages than the lock file."""
    return {each["name"]: each for each in json.loads(done.out)["checks"] if each["name"] != "packages"}


def test_a_project_is_trained_scored_replayed_and_proven_from_wherever_it_is_called(
    installed: Installed, mine: Path, empty: Path
) -> None:
    """Its feature module is called like one of the engine's, and `features/` says that it is a package."""
    named, link = ("--project", str(mine)), mine.parents[1] / "link"
    (mine / "uv.lock").write_text("version = 1\n")
    unreleased = installed.score(*named, "train", "--as-of", TRAINED, cwd=empty)
    assert (unreleased.code, "score release" in unreleased.err) == (78, True), unreleased.err

    released(installed, mine)
    assert {line.split()[1] for line in (mine / "sql/visits/released.txt").read_text().splitlines()} == {
        "attendance_v1.sql", "labels_v1.sql", "visits_v1.sql"
    }  # fmt: skip
    looked = installed.score(*named, "check", cwd=empty)
    assert looked.code == 0, looked.out
    trained = installed.score(*named, "train", "--as-of", TRAINED, "--json", cwd=empty).json
    [model] = (mine / "var" / "models" / "visits").iterdir()
    assert (trained["job"], model.name) == ("visits", trained["model_version"])
    assert (model / "uv.lock").read_text() == "version = 1\n"

    [run] = installed.score("run", "--as-of", NIGHT, "--json", cwd=mine / "sql" / "visits").json["runs"]
    assert (run["status"], run["row_count"]) == ("published", 30)
    [kept] = (mine / "var" / "runs" / "visits" / NIGHT).iterdir()
    execution = json.loads((kept / "execution.json").read_text())["body"]
    assert execution["host"]["project"] == str(mine)
    assert {"project_features", "project_jobs", "project_models", "code_features"} <= execution["code"].keys()

    again = installed.score("backfill", "--as-of", NIGHT, "--json", cwd=empty, SCORE_PROJECT=str(link)).json["runs"]
    assert [(each["run_id"], each["status"]) for each in again] == [(run["run_id"], "already_published")]
    by_cron(installed, mine, log=empty.with_name("visits.log"))
    kept = installed.score(*named, "runs", "--json", cwd=empty).json
    assert len(kept["runs"] if isinstance(kept, dict) else kept) == 9
    verified = installed.score(*named, "verify", "--all", "--retrain", "--threads", "2", "--json", cwd=empty).json
    assert [each["identical"] for each in verified["runs"]] == [True] * 9
    proven = installed.score("prove", "--as-of", NIGHT, "--json", cwd=mine / "features").json["proofs"]
    assert [each for each in proven if not each["held"]] == []
    assert len(proven) >= 12
    with (mine / "features" / "shared.py").open("a", encoding="utf-8") as file:
        file.write("\n\ndef unused(column: object) -> object:\n    return column.mean()\n")
    impure = installed.score(*named, "prove", "--as-of", NIGHT, "--only", "purity", "--json", cwd=empty)
    assert impure.code == 81
    assert "features/shared.py:10: .mean()" in json.loads(impure.out)["proofs"][0]["detail"]
    examined = checks(installed.score("doctor", "--json", cwd=mine / "cron"))
    assert [each for each in examined.values() if each["ok"] is False] == []
    assert f"the project {mine}" in examined["settings"]["detail"]

    assert "flight_delay" not in installed.score("sql", cwd=mine).out
    notebook = "from jobs.research import published; print(published('visits', '2024-03-21').height)"
    assert installed.python("-c", notebook, cwd=mine / "features").out == "30\n"


def test_the_engine_is_found_though_the_projects_own_rooms_stand_before_it(
    installed: Installed, mine: Path, empty: Path
) -> None:
    """As with PYTHONPATH=. in the user's shell: `features/` and `models/` there are packages, too."""
    (mine / "models" / "__init__.py").write_text("raise RuntimeError('these are not the models that are meant')\n")
    released(installed, mine)
    where = installed.python("-c", "import jobs, features; print(features.__file__)", cwd=empty, PYTHONPATH=str(mine))

    assert where.out.strip() == str(next(installed.bin.parent.glob("lib/python*/site-packages/features/__init__.py")))
    assert installed.score("snapshot", "--as-of", NIGHT, cwd=mine, PYTHONPATH=str(mine)).code == 0


def test_a_project_that_nobody_may_write_to_is_left_as_it_is(
    installed: Installed, mine: Path, empty: Path, tmp_path: Path
) -> None:
    """Its state lies elsewhere; not even caches of its modules are left in it."""
    released(installed, mine)
    for path in (mine, *mine.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {path: path.stat().st_mtime_ns for path in (mine, *mine.rglob("*"))}
    elsewhere = {"SCORE_HOME": str(tmp_path / "home"), "SCORE_PROJECT": str(mine)}

    assert installed.score("train", "--as-of", TRAINED, cwd=empty, **elsewhere).code == 0
    assert installed.score("run", "--as-of", NIGHT, cwd=mine, **elsewhere).code == 0
    assert installed.score("verify", cwd=empty, **elsewhere).code == 0
    assert {path: path.stat().st_mtime_ns for path in (mine, *mine.rglob("*"))} == before


def test_what_is_wrong_in_a_projects_module_is_said_with_its_file_and_line(
    installed: Installed, mine: Path, empty: Path
) -> None:
    """What cannot be loaded is a matter of configuration; what fails at work is a bug, but not one of ours."""
    released(installed, mine)
    path = mine / "features" / "exact.py"
    text = path.read_text(encoding="utf-8")
    line = 1 + text[: text.index("known = newest(")].count("\n")
    for wrong, code, said in (
        (
            text.replace("from .shared import", "from shared import"),
            78,
            "ModuleNotFoundError: No module named 'shared'",
        ),
        (text.replace("known = newest(", "known = newesst("), 70, f"a bug in {path}:{line}: NameError"),
    ):
        path.write_text(wrong, encoding="utf-8")
        done = installed.score("--project", str(mine), "train", "--as-of", TRAINED, cwd=empty)
        assert (done.code, said in done.err) == (code, True), done.err
        assert done.err.count("\n") == 1
    assert "NameError" in (mine / "var" / "log" / "score.log").read_text()


def test_a_bug_in_the_features_of_one_job_does_not_stop_the_night_of_another(installed: Installed, mine: Path) -> None:
    """The broken one comes first, by its name; it is told of all the same."""
    for there, here in (("jobs/visits.toml", "jobs/again.toml"), ("models/visits.toml", "models/again.toml")):
        text = (mine / there).read_text(encoding="utf-8")
        (mine / here).write_text(text.replace('features = "exact"', 'features = "again"'), encoding="utf-8")
    shutil.copytree(mine / "sql" / "visits", mine / "sql" / "again")
    path = mine / "features" / "again.py"
    shutil.copy(mine / "features" / "exact.py", path)
    released(installed, mine)
    assert installed.score("train", "--as-of", TRAINED, cwd=mine).code == 0
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('tables["attendance"]', 'tables["no such table"]'), encoding="utf-8")
    line = 1 + text[: text.index('tables["attendance"]')].count("\n")
    done = installed.score("run", "--as-of", NIGHT, cwd=mine)

    assert (done.code, f"a bug in {path}:{line}: KeyError" in done.err) == (70, True), done.err
    published = installed.score("sql", "SELECT job, CAST(as_of AS VARCHAR) FROM runs", "--json", cwd=mine).out
    assert ("visits" in published, "again" in published, NIGHT in published) == (True, False, True)


def test_half_a_project_and_an_ignored_home_are_said(installed: Installed, mine: Path) -> None:
    (mine / ".git").mkdir()
    home = checks(installed.score("doctor", "--json", cwd=mine))["home"]
    assert home["detail"].endswith(f"git would keep it: add var/ to {mine}/.gitignore")
    (mine / ".gitignore").write_text("/var/\n")
    assert "git" not in checks(installed.score("doctor", "--json", cwd=mine))["home"]["detail"]

    shutil.rmtree(mine / "models")
    half = installed.score("train", "--as-of", TRAINED, "--json", cwd=mine / "sql")
    assert half.code == 78
    assert f"{mine} is no whole project: models/ missing" in json.loads(half.out)["error"]["message"]
