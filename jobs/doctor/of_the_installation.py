"""Checks of the installation: the packages of the lock file, and whether the engine loads."""

from __future__ import annotations

import tomllib
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from jobs.doctor.checking import Check
from jobs.environment import lock_files

if TYPE_CHECKING:
    from jobs.doctor.checking import Patient
    from jobs.project import Project

_INSTALL = "install them again: pip install --require-hashes -r requirements-runtime.txt"


class InstallationDiffers(Exception):
    """What is installed is not what the lock file says, or does not load."""


def packages(patient: Patient, _job: str) -> str:
    """Every locked package that is installed has the locked version."""
    locked = _locked(patient.project)
    found = {name: _installed(name) for name in locked}
    others = [
        f"{name} {found[name] or 'is missing'} (locked: {', '.join(sorted(versions))})"
        for name, (versions, needed) in locked.items()
        if found[name] not in versions and (found[name] or needed)
    ]
    if others:
        raise InstallationDiffers(
            f"{len(others)} packages are not those of the lock file: {', '.join(others)}; {_INSTALL}"
        )
    return f"{sum(1 for each in found.values() if each)} packages as in the lock file"


def _locked(project: Project) -> dict[str, tuple[set[str], bool]]:
    """The locked versions of every package that runs here, and whether we ourselves import it.

    A project's lock file counts if it locks us; else the one that we came with.
    """
    for content in lock_files(project):
        locked = _packages(content)
        ours = next((each for each in locked if each["name"] == "rescore"), None)
        if ours:
            return _of(locked, ours)
    raise InstallationDiffers("there is no lock file with the installed code; install rescore again")


def _packages(content: bytes) -> list[dict[str, Any]]:
    try:
        return list(tomllib.loads(content.decode())["package"])
    except (ValueError, KeyError):
        return []


def _of(locked: list[dict[str, Any]], ours: dict[str, Any]) -> dict[str, tuple[set[str], bool]]:
    direct = {each["name"] for each in ours["dependencies"]}
    names = _needed(locked, {*direct, *(each["name"] for more in _optional(ours) for each in more)})
    return {
        name: ({each["version"] for each in locked if each["name"] == name}, name in direct) for name in sorted(names)
    }


def _optional(package: dict[str, Any]) -> list[list[dict[str, Any]]]:
    return list(package.get("optional-dependencies", {}).values())


def _needed(locked: list[dict[str, Any]], names: set[str]) -> set[str]:
    """These packages and whatever they need."""
    more = {need["name"] for each in locked if each["name"] in names for need in each.get("dependencies", [])} | names
    return names if more == names else _needed(locked, more)


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def engine(_patient: Patient, _job: str) -> str:
    """LightGBM loads, and with it the system's OpenMP runtime."""
    try:
        found = import_module("lightgbm")
    except (ImportError, OSError) as error:
        raise InstallationDiffers(
            f"LightGBM cannot be loaded ({error}); it needs the OpenMP runtime: apt-get install libgomp1"
        ) from None
    return f"LightGBM {found.__version__} loads"


OF_THE_INSTALLATION = (Check("packages", packages), Check("engine", engine))
