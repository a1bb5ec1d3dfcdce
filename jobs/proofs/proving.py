"""Proving: every proof of one night and one model version, and the record of it that a promotion asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.editions import edition_of
from jobs.environment import code, environment, lock_sha256, processor
from jobs.exits import failure_of
from jobs.proofs.proofs import PROOFS
from jobs.proofs.trial import DoesNotHold, Trial, scratch_home
from jobs.proofs.witness import unexpected
from jobs.steps.begun import require_begun
from jobs.steps.scoring import matching_features
from jobs.store.events import DISPROVED, PROVED, append, read_chain
from jobs.store.home import staging
from jobs.store.locks import locked
from jobs.store.proofs import keep_proofs
from jobs.store.registry import read_version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from jobs.definition import Job
    from jobs.project import Project
    from jobs.proofs.proofs import Proof
    from jobs.screen import Tell
    from jobs.settings import Settings
    from jobs.store.documents import Json
    from jobs.store.home import Home

_OF_THE_MACHINE = {69, 74, 77}
_BRIEFLY_S = 60.0


class ProofUnknown(Exception):
    """There is no proof of that name."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one proof found: whether the promise held, and by what evidence, or where it broke."""

    name: str
    claim: str
    held: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Proven:
    """All findings about one model version on one night; `recorded` says whether they stand in the job's events."""

    job: str
    as_of: date
    model_version: str
    findings: tuple[Finding, ...]
    recorded: bool

    @property
    def held(self) -> bool:
        """Whether every proof held."""
        return all(finding.held for finding in self.findings)


def prove(
    job: Job,
    settings: Settings,
    home: Home,
    as_of: date,
    *,
    model: str | None,
    only: Sequence[str],
    threads: int,
    environ: Mapping[str, str],
    tell: Tell,
) -> Proven:
    """Try to break the promise for one night and one version, by default the champion of that night.

    All proofs together are recorded in the job's events; some of them, named in `only`, are not.

    Raises:
        ProofUnknown: naming the proofs that there are.
    """
    require_begun(job, settings, as_of)
    chosen = _chosen(only)
    version = read_version(home, job.name, model or read_chain(home, job.name).champion(as_of))
    job = edition_of(job, version)
    matching_features(job, version)
    with staging(home) as folder:
        trial = Trial(job, settings, home, scratch_home(folder), folder, as_of, version, threads, environ, tell)
        tell("making the night as it is")
        trial.look()
        findings = []
        for done, proof in enumerate(chosen):
            tell(f"proof {done + 1} of {len(chosen)}: {proof.name}", done / len(chosen))
            findings.append(_finding(trial, proof))
    proven = Proven(job.name, as_of, version.version, tuple(findings), recorded=not only)
    if proven.recorded:
        _record(job.project, home, settings, proven)
    return proven


def _chosen(names: Sequence[str]) -> list[Proof]:
    known = {proof.name: proof for proof in PROOFS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ProofUnknown(f"there is no proof {unknown[0][:40]!r}; there are {', '.join(known)}")
    return [proof for proof in PROOFS if proof.name in names or not names]


def _finding(trial: Trial, proof: Proof) -> Finding:
    """What a proof found. Whatever the job's own code raises is a finding too, unless the machine failed."""
    try:
        return Finding(proof.name, proof.claim, held=True, detail=proof.attempt(trial))
    except DoesNotHold as broken:
        detail = str(broken)
    except Exception as error:
        failure = failure_of(error)
        if isinstance(error, OSError) or (failure and failure.code in _OF_THE_MACHINE):
            raise
        detail = f"it fails: {failure.message if failure else unexpected(error)}"
    return Finding(proof.name, proof.claim, held=False, detail=detail)


def _record(project: Project, home: Home, settings: Settings, proven: Proven) -> None:
    """Keep the findings as a document, and an event that names it by its digest."""
    body: dict[str, Json] = {
        "as_of": proven.as_of.isoformat(),
        "at": settings.clock().isoformat(),
        "environment": {**environment(), **processor(), **code(project), "lock": lock_sha256(project)},
        "findings": [
            {"claim": each.claim, "detail": each.detail, "held": each.held, "name": each.name}
            for each in proven.findings
        ],
        "job": proven.job,
        "model_version": proven.model_version,
    }
    broken = [each.name for each in proven.findings if not each.held]
    said = f"did not hold: {', '.join(broken)}" if broken else f"{len(proven.findings)} proofs held"
    with locked(home.lock(proven.job), wait_s=_BRIEFLY_S):
        record = keep_proofs(home, proven.job, body)
        append(
            home, read_chain(home, proven.job), DISPROVED if broken else PROVED,
            at=settings.clock(), reason=f"{said} as of {proven.as_of}", as_of=proven.as_of,
            model_version=proven.model_version, record=record,
        )  # fmt: skip
