"""A job that is being checked: its files, and what earlier looks could make of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from jobs.definition import FeatureModule, Job
    from jobs.project import Project
    from jobs.queries.check import Query
    from models.parameters import Parameters


@dataclass(slots=True)
class Case:
    """One job of a project. What could not be read is null, and why is among the problems.

    `earlier` are its earlier editions, each a case of its own.
    """

    project: Project
    name: str
    job: Job | None = None
    queries: dict[str, Query] = field(default_factory=dict)
    parameters: Parameters | None = None
    module: FeatureModule | None = None
    module_name: str | None = None
    earlier: list[Case] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    @property
    def toml(self) -> Path:
        """The job's own file."""
        return self.project.jobs / f"{self.name}.toml"

    @property
    def model_toml(self) -> Path:
        """Its model's parameters."""
        return self.project.models / f"{self.name}.toml"

    @property
    def sql(self) -> Path:
        """The folder of its SQL."""
        return self.project.sql / self.name

    @property
    def module_file(self) -> Path:
        """The source of its feature module."""
        name = self.module_name or self.name
        package = self.project.features / name / "__init__.py"
        return package if package.is_file() else self.project.features / f"{name}.py"

    @property
    def whole(self) -> bool:
        """Whether every query of the current edition could be read."""
        return self.job is not None and all(table in self.queries for table, _ in self.job.sql_versions)
