"""What is shipped is what is locked, whole, explained, and free of the machine that it was made on."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import typer

import features
import jobs
import models
from jobs.cli import app

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
INDEX_HOSTS = {"pypi.org", "files.pythonhosted.org"}

Pins = dict[str, tuple[str, frozenset[str]]]


def toml(name: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / name).read_text(encoding="utf-8"))


def locked() -> Pins:
    """Version and hashes of every locked package but our own, by name."""
    return {
        package["name"]: (package["version"], frozenset(file["hash"] for file in files(package)))
        for package in toml("uv.lock")["package"]
        if "registry" in package["source"]
    }


def files(package: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [*([package["sdist"]] if "sdist" in package else []), *package.get("wheels", [])]


def pinned(name: str) -> Pins:
    """Version and hashes of every package in a file of requirements, by name."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert all("==" in line for line in lines), "only pinned packages, no options"
    return {
        line.split("==")[0]: (re.split(r"[\s;]", line.split("==")[1])[0], frozenset(re.findall(r"--hash=(\S+)", line)))
        for line in lines
    }


def needed(package: Mapping[str, Any], by_name: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """The names of what a locked package needs to run, with the sample's flights, and what those need."""
    direct = [*package.get("dependencies", []), *package.get("optional-dependencies", {}).get("demo", [])]
    for each in direct:
        yield each["name"]
        yield from needed({"dependencies": by_name[each["name"]].get("dependencies", [])}, by_name)


def test_the_requirements_are_the_lock_file() -> None:
    """The same packages, versions and hashes, for people without uv; CONTRIBUTING.md says how to export them again."""
    assert pinned("requirements.txt") == locked()


def test_the_runtime_requirements_are_what_the_program_needs_of_the_lock_file() -> None:
    by_name = {package["name"]: package for package in toml("uv.lock")["package"]}
    names = set(needed(by_name["rescore"], by_name))

    assert pinned("requirements-runtime.txt") == {name: pin for name, pin in locked().items() if name in names}


def test_what_builds_the_wheel_does_not_contradict_the_lock_file() -> None:
    """Both are installed side by side: pip refuses one package in two versions."""
    build, lock = pinned("requirements-build.txt"), locked()

    assert "hatchling" in build
    assert {name: build[name] for name in build if name in lock} == {name: lock[name] for name in build if name in lock}
    assert all(hashes for _, hashes in build.values())


def test_packages_come_from_the_public_index_only() -> None:
    lock = toml("uv.lock")["package"]
    places = [package["source"]["registry"] for package in lock if "registry" in package["source"]]
    urls = [file["url"] for package in lock for file in files(package)]

    assert [package["name"] for package in lock if "registry" not in package["source"]] == ["rescore"]
    assert {urlsplit(url).hostname for url in [*places, *urls]} == INDEX_HOSTS
    for path in ROOT.glob("requirements*.txt"):
        assert "://" not in path.read_text(encoding="utf-8"), path.name


def test_what_the_wheel_declares_is_there() -> None:
    project, hatch = toml("pyproject.toml")["project"], toml("pyproject.toml")["tool"]["hatch"]["build"]["targets"]
    wheel = hatch["wheel"]
    declared = [project["readme"], *project["license-files"], *wheel["packages"], *wheel["force-include"]]
    typed = [f"{package}/py.typed" for package in wheel["packages"]]

    assert [name for name in [*declared, *typed, *hatch["sdist"]["include"]] if not (ROOT / name).exists()] == []


def test_the_licence_is_the_one_that_is_declared() -> None:
    assert toml("pyproject.toml")["project"]["license"] == "Apache-2.0"
    assert "Apache License\n                           Version 2.0" in (ROOT / "LICENSE").read_text(encoding="utf-8")


@pytest.mark.parametrize("package", [features, jobs, models], ids=lambda package: package.__name__)
def test_no_other_package_of_that_name_stands_before_ours(package: ModuleType) -> None:
    """`features`, `jobs` and `models` are plain words; somebody else's may be installed."""
    assert package.__file__ is not None
    assert Path(package.__file__) == ROOT / package.__name__ / "__init__.py"


def test_every_dependency_says_why_it_is_there() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    stated = toml("pyproject.toml")
    every = [
        *stated["project"]["dependencies"],
        *chain.from_iterable(stated["project"]["optional-dependencies"].values()),
        *chain.from_iterable(stated["dependency-groups"].values()),
    ]
    explained = set(re.findall(r'"([^"\n]+)"[\],]*\s*# \S.*', text))

    assert [each for each in every if each not in explained] == []


def test_imports_go_one_way() -> None:
    """The contracts stand in pyproject.toml; `features` and `models` know neither each other nor `jobs`."""
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout


COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_and_a_line_in_the_readme(name: str) -> None:
    assert COMMANDS[name].help, f"`score {name}` says nothing about itself"
    assert re.search(rf"`score {name}\b", (ROOT / "README.md").read_text(encoding="utf-8"))


def test_no_tracked_file_names_the_machine_that_it_was_made_on() -> None:
    """No home folder, no folder of a build machine, no package index but the public one."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("these files are no git checkout, so none of them is tracked")
    traces = re.compile(r"(?<![\w.$}/])/(?:work|root|home|Users)/[\w.]|(?:index-url|find-links)\s*[=:]", re.ASCII)
    found = [
        f"{name}:{number}"
        for name in listed.stdout.split("\0")
        if name and name != "tests/test_packaging.py" and (ROOT / name).is_file()
        for number, line in enumerate((ROOT / name).read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if traces.search(line)
    ]

    assert found == []
