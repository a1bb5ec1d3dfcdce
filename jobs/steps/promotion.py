"""Promotion: which model version scores from which as-of on, with a reason on record."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from jobs.steps.begun import require_begun
from jobs.store.events import PROMOTED, PROVED, PUBLISHED, SKIPPED, append, read_chain
from jobs.store.locks import locked
from jobs.store.registry import ModelMissing, read_version

if TYPE_CHECKING:
    from datetime import date

    from jobs.definition import Job
    from jobs.settings import Settings
    from jobs.store.events import Chain, Event
    from jobs.store.home import Home
    from jobs.store.registry import ModelVersion


class EffectiveFromRefused(Exception):
    """A promotion cannot take effect when it was asked to."""


class NotProven(Exception):
    """A challenger's proofs did not hold, or were never tried."""


class NightPublished(Exception):
    """A night that is published needs no skip."""


def promote(
    job: Job,
    settings: Settings,
    home: Home,
    version: str,
    *,
    reason: str,
    effective_from: date | None = None,
    unproven: bool = False,
) -> Event:
    """Make a version champion from an as-of on, by default the next that is not scored yet.

    Its proofs must have held, unless it was champion before; `unproven` does without them, and stays on record.

    Raises:
        EffectiveFromRefused: if the version was trained after that as-of.
        NotProven: if its proofs did not hold, or were never tried.
    """
    found = read_version(home, job.name, version)
    with locked(home.lock(job.name)):
        chain = read_chain(home, job.name)
        needed = found.version not in champions(chain)
        if needed and not unproven:
            _require_proven(chain, found)
        start = effective_from or next_unscored(chain) or found.as_of
        if start < found.as_of:
            raise EffectiveFromRefused(
                f"{version} was trained as of {found.as_of} and has seen what came before; "
                f"it cannot be champion from {start} on"
            )
        chain = append(
            home, chain, PROMOTED,
            at=settings.clock(), reason=reason, as_of=start, model_version=found.version,
            unproven=needed and not _proven(chain, found),
        )  # fmt: skip
        return chain.events[-1]


def _proven(chain: Chain, version: ModelVersion) -> bool:
    found = chain.proof(version.version)
    return found is not None and found.kind == PROVED


def _require_proven(chain: Chain, version: ModelVersion) -> None:
    """Pass if the last proofs of a version held.

    Raises:
        NotProven: saying what they found, or how to try them.
    """
    if _proven(chain, version):
        return
    found = chain.proof(version.version)
    said = f"the proofs of {version.version} {found.reason}" if found else f"{version.version} was never put to proof"
    raise NotProven(
        f"{said}; it is not promoted. Prove it: score prove {version.job} --as-of {version.as_of} --model "
        f"{version.version}; or promote it all the same, which stays on record, with --unproven"
    )


def roll_back(job: Job, settings: Settings, home: Home, *, reason: str) -> Event:
    """Make the version champion again that was before the present one, from the next unscored as-of on.

    Raises:
        ModelMissing: if there was none before.
    """
    before = champions(read_chain(home, job.name))[:-1]
    if not before:
        raise ModelMissing(f"{job.name} has no other champion to roll back to; see: score models {job.name}")
    return promote(job, settings, home, before[-1], reason=reason)


def champions(chain: Chain) -> list[str]:
    """The champions that led to the present one, oldest first; going back to one forgets those after it."""
    led: list[str] = []
    for event in chain.events:
        version = event.model_version
        if event.kind == PROMOTED and version:
            led = [*(led[: led.index(version)] if version in led else led), version]
    return led


def skip(job: Job, settings: Settings, home: Home, as_of: date, *, reason: str) -> Event:
    """Close a night that has nothing to score, so that catching up does not come back to it.

    Raises:
        NightPublished: if analysts see scores of that night.
    """
    require_begun(job, settings, as_of)
    with locked(home.lock(job.name)):
        chain = read_chain(home, job.name)
        if as_of in chain.current():
            raise NightPublished(f"{job.name} as of {as_of} is published, there is nothing to close; see: score runs")
        chain = append(home, chain, SKIPPED, at=settings.clock(), reason=reason, as_of=as_of)
        return chain.events[-1]


def next_unscored(chain: Chain) -> date | None:
    """The as-of after the newest that was published; null if none was."""
    scored = [event.as_of for event in chain.events if event.kind == PUBLISHED]
    return max(scored) + timedelta(days=1) if scored else None
