"""Training again: each model version from the snapshot that it was trained on, its text compared to the byte.

It needs no warehouse. LightGBM promises equal trees only inside one environment, so another text is told with what is
another here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING

from features.fitted import Fitted
from jobs.editions import edition_of
from jobs.evidence.golden import other_environment, side_by_side
from jobs.exits import failure_of, known_failures
from jobs.steps.scoring import matching_features
from jobs.steps.training import calibration_facts, learning_again, trained_nights, training_facts, training_rows
from jobs.store.registry import read_model_texts, read_version, version_names
from jobs.store.snapshots import read_snapshot
from models.parameters import Parameters
from models.training import train_again

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobs.definition import Job
    from jobs.evidence.golden import Differences
    from jobs.evidence.verifying import Verdict
    from jobs.screen import Tell
    from jobs.steps.training import TrainingRows
    from jobs.store.home import Home
    from jobs.store.registry import ModelVersion

_DIFFERS = 81


@dataclass(frozen=True, slots=True)
class Retrained:
    """What training one version again gave: the same text, or what differs, or why it cannot be trained again."""

    job: str
    model_version: str
    detail: str = ""
    code: int = 0
    differences: Differences = field(default_factory=dict)

    @property
    def identical(self) -> bool:
        """Whether every byte of the texts, the fitted state and the calibration are what was kept."""
        return self.code == 0


def retrain_versions(
    jobs: Sequence[Job], home: Home, verdicts: Sequence[Verdict], *, everything: bool, threads: int, tell: Tell
) -> list[Retrained]:
    """Train again, each once: every kept version, or else those of the runs that were verified."""
    kept = [(job.name, name) for job in jobs for name in version_names(home, job.name)] if everything else []
    used = [(verdict.job, verdict.model_version) for verdict in verdicts if verdict.model_version]
    chosen = list(dict.fromkeys([*kept, *used]))
    by_name = {job.name: job for job in jobs}
    found = []
    for done, (job, name) in enumerate(chosen):
        tell(f"training {job} {name} again", done / len(chosen))
        found.append(retrain_version(by_name[job], home, name, threads))
    return found


def retrain_version(job: Job, home: Home, name: str, threads: int) -> Retrained:
    """Train one version again and compare."""
    try:
        version = read_version(home, job.name, name)
        difference = _difference(job, home, version, threads)
        others = other_environment(job.project, home, version)
    except known_failures() as error:
        failure = failure_of(error)
        if failure is None:
            raise
        return Retrained(job.name, name, f"it cannot be trained again: {failure.message}", failure.code)
    if not difference:
        return Retrained(job.name, name, differences=others)
    return Retrained(job.name, name, f"{difference}; {_where(others)}", _DIFFERS, others)


def _difference(job: Job, home: Home, version: ModelVersion, threads: int) -> str:
    """What is not as it was kept; nothing if every byte is."""
    kept = read_model_texts(home, version)
    job = edition_of(job, version)
    matching_features(job, version)
    snapshot = read_snapshot(home, job.name, version.as_of, version.snapshot_digest)
    rows = training_rows(job, home, snapshot, trained_nights(version.training), Fitted.from_json(version.fitted))
    parameters = Parameters.from_json(version.parameters)
    again = train_again(learning_again(job, rows, parameters), parameters, threads)
    said = [*_rows_differ(version, rows), *_texts_differ(version, kept, again.texts)]
    if calibration_facts(again.calibration) != version.calibration:
        said.append("the calibration is another")
    return "; ".join(said)


def _rows_differ(version: ModelVersion, rows: TrainingRows) -> list[str]:
    found = training_facts(rows)
    said = [f"{name} is {found[name]}, was {was}" for name, was in version.training.items() if found[name] != was]
    return [*said, "the fitted state is another"] if rows.fitted.to_json() != version.fitted else said


def _texts_differ(version: ModelVersion, kept: Sequence[str], texts: Sequence[str]) -> list[str]:
    names = [f"member {member.name}" for member in version.members] or ["the model"]
    each = zip(names, kept, texts, strict=True)
    return [said for name, was, now in each for said in _text_differs(name, was, now)]


def _text_differs(name: str, kept: str, text: str) -> list[str]:
    pairs = enumerate(zip_longest(kept.splitlines(), text.splitlines()), start=1)
    lines = [number for number, (was, now) in pairs if was != now]
    if lines:
        return [f"{len(lines):,} lines of {name}'s text are others, the first is line {lines[0]:,}"]
    return [f"{name}'s text has other line ends"] if kept != text else []


def _where(differences: Differences) -> str:
    promised = "LightGBM promises the same trees only inside one environment, and this is another: "
    return (promised if differences else "") + side_by_side(differences)
