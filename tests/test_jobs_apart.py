"""A job is its own files: nothing of the engine knows one by name, and without its files all else goes on."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobs.definition import job_names
from tests.jobs.proofs.trees import ROOMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[1]
JOBS = job_names()
OTHERS = {"flight_delay": ("2013-04-20", "2013-04-20"), "aircraft_delays": ("2013-04-10", "2013-04-12")}


def files_of(job: str, root: Path) -> list[Path]:
    """All that a job is made of, and the tests that are about it."""
    own = [root / "sql" / job, root / "features" / f"{job}.py", root / "models" / f"{job}.toml"]
    tests = [*(root / "tests").glob(f"*/test_{job}.py"), *(root / "tests").glob(f"*/{job}_*")]
    return [*own, root / "jobs" / f"{job}.toml", *tests]


def named(source: Path) -> Iterator[str]:
    """Every name and text of a module, but its comments and docstrings, which may give examples."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in docstrings:
                yield text
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
                yield name
            case ast.ImportFrom(module=str(module)):
                yield module


def test_no_module_of_the_engine_names_a_job() -> None:
    """A job is added without touching one, and removed without missing one."""
    own = {path for job in JOBS for path in files_of(job, ROOT)}
    engine = [path for room in ("jobs", "features", "models") for path in (ROOT / room).rglob("*.py")]
    naming = [
        f"{path.relative_to(ROOT)}: {text[:60]}"
        for path in engine
        if path not in own
        for text in named(path)
        if any(job in text for job in JOBS)
    ]

    assert len(engine) > 100
    assert naming == []


def test_an_example_that_names_a_job_is_found(tmp_path: Path) -> None:
    """In code; not where a docstring gives it."""
    module = tmp_path / "module.py"
    module.write_text('"""Such as flight_delay."""\nfrom features.flight_delay import KEY\nJOB = "flight_delay"\n')

    assert [text for text in named(module) if "flight_delay" in text] == ["features.flight_delay", "flight_delay"]


def test_no_test_that_is_about_another_thing_needs_the_second_job() -> None:
    """So that all of them pass without it."""
    naming = [
        path.relative_to(ROOT)
        for path in (ROOT / "tests").rglob("*.py")
        if "aircraft_delays" in path.read_text(encoding="utf-8") and path != Path(__file__)
    ]

    assert {path.name for path in naming} <= {"test_aircraft_delays.py"}


def without(removed: str, rooms: Iterable[str], folder: Path) -> Path:
    """A copy of the source tree in which a job never was."""
    tree = folder / "tree"
    for room in rooms:
        shutil.copytree(ROOT / room, tree / room, ignore=shutil.ignore_patterns("__pycache__"))
    for path in files_of(removed, tree):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for name in ("uv.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tree)
    return tree


@pytest.mark.skipif(len(JOBS) == 1, reason="there is one job")
def test_without_the_files_of_the_second_job_tests_of_the_engine_pass(tmp_path: Path) -> None:
    """Some that ask for every job that there is; no test of the whole suite names the second one."""
    tree = without("aircraft_delays", (*ROOMS, "tests"), tmp_path)
    asked = ["models/test_parameters.py", "jobs/test_definition.py", "jobs/queries/test_released.py", "features"]

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", *(f"tests/{each}" for each in asked), "tests/test_jobs_apart.py"],
        cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)}, capture_output=True, text=True, check=False, timeout=500,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.skipif(len(JOBS) == 1, reason="there is one job")
@pytest.mark.parametrize("removed", JOBS)
def test_without_the_files_of_a_job_the_other_is_trained_scored_replayed_and_proven(
    removed: str, small_warehouse: Path, tmp_path: Path
) -> None:
    """From a copy of the source tree; there is no trace of the job that is gone."""
    [left] = [job for job in JOBS if job != removed]
    trained_as_of, night = OTHERS[removed]
    tree, home = without(removed, ROOMS, tmp_path), tmp_path / "home"
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SCORE_")},
        "PYTHONPATH": str(tree),
        "SCORE_HOME": str(home),
        "SCORE_WAREHOUSE": f"duckdb:///{small_warehouse}",
        "SCORE_TODAY": "2013-05-10",
    }

    def score(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "jobs", *arguments],
            cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert f"model {trained_as_of}" in score("train", "--as-of", trained_as_of)
    assert f"published {left} as of {night}" in score("run", "--as-of", night)
    assert "replayed identically" in score("verify", "--all", "--retrain")
    assert "proofs held" in score("prove", "--as-of", night, "--only", "purity", "--only", "alone")
    for arguments in (["doctor"], ["release"], ["models"], ["snapshots"], ["sql"], ["mutations", "--since", night]):
        assert removed not in score(*arguments)
