"""What a check is given, what it is, what it found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobs.definition import Job
    from jobs.project import Project
    from jobs.queries.check import Query
    from jobs.settings import Settings
    from jobs.store.documents import Json
    from jobs.store.events import Chain
    from jobs.store.home import Home
    from jobs.store.registry import ModelVersion


@dataclass(frozen=True, slots=True)
class NotYet:
    """There is nothing to look at, and why that is in order."""

    why: str


@dataclass(slots=True)
class Patient:
    """What is known of the machine so far: what each check leaves for those after it."""

    read_settings: Callable[[], Settings]
    project: Project
    names: tuple[str, ...]
    said: Settings | None = None
    place: Home | None = None
    jobs: dict[str, Job] = field(default_factory=dict)
    queries: dict[str, tuple[Query, ...]] = field(default_factory=dict)
    chains: dict[str, Chain] = field(default_factory=dict)
    champions: dict[str, ModelVersion] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        """What the environment says, once it was read."""
        assert self.said is not None, "checks run in order"  # noqa: S101  a bug of ours
        return self.said

    @property
    def home(self) -> Home:
        """The home, made or not, once it was found in order."""
        assert self.place is not None, "checks run in order"  # noqa: S101  a bug of ours
        return self.place


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at, once those that it needs were in order; `look` is given the job's name, or nothing."""

    name: str
    look: Callable[[Patient, str], str | NotYet]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found: ok, wrong (false, with its exit code), or not looked at (null)."""

    name: str
    job: str
    ok: bool | None
    detail: str
    code: int = 0


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The environment, and what every check found."""

    environment: dict[str, Json]
    findings: tuple[Finding, ...]

    @property
    def wrong(self) -> tuple[Finding, ...]:
        """What is wrong, in the order in which it was looked at."""
        return tuple(each for each in self.findings if each.ok is False)
