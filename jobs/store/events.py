"""Events: what was decided and made visible, append-only, one chain a job.

Every event carries the digest of the one before it, so none can be changed or taken out of the middle. Pointers (who is
champion, which run analysts see) are what the replay of the chain says; there is no other state.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, cast

from jobs.store.documents import BESIDE, Json, read_sealed, write_document

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from jobs.store.home import Home

PROMOTED, PUBLISHED, RECORDED, SKIPPED = "promoted", "published", "recorded", "skipped"
PROVED, DISPROVED = "proved", "disproved"
NIGHTLY = "nightly"


class ChainBroken(Exception):
    """An event is missing from a job's chain, or was changed."""


class ChampionMissing(Exception):
    """No model version scores that as-of."""


@dataclass(frozen=True, slots=True)
class Event:
    """One decision about one job: a promotion, a publication, a run kept in the history only, a skipped night, proofs.

    `unproven` says that a version was promoted without its proofs, and `rows_accepted` that a night was scored although
    its row counts are far from the usual: somebody asked for either by a flag. `record` is the digest of what proofs
    found.
    """

    seq: int
    kind: str
    at: str
    reason: str
    as_of: date
    run_id: str | None = None
    model_version: str | None = None
    unproven: bool = False
    record: str | None = None
    rows_accepted: bool = False


@dataclass(frozen=True, slots=True)
class Chain:
    """All events of one job, oldest first, and the digest that the next one must carry."""

    job: str
    events: tuple[Event, ...]
    head: str

    def champion(self, as_of: date) -> str:
        """The version that scores that night: of the last promotion that is in effect by then.

        Raises:
            ChampionMissing: naming the earliest as-of that has one.
        """
        in_effect = [each for each in self._of(PROMOTED) if each.as_of <= as_of]
        if in_effect:
            return cast("str", in_effect[-1].model_version)
        starts = [each.as_of for each in self._of(PROMOTED)]
        if starts:
            raise ChampionMissing(
                f"{self.job} has no champion as of {as_of}; the earliest is in effect from {min(starts)}. "
                f"Train one: score train {self.job} --as-of {as_of}; or see what a later one says, for the history "
                f"only: score backfill {self.job} --as-of {as_of} --model VERSION --hindsight"
            )
        raise ChampionMissing(f"{self.job} has no model yet; train one: score train {self.job} --as-of DATE")

    def current(self) -> dict[date, Event]:
        """The publication that analysts see, by as-of."""
        return {each.as_of: each for each in self._of(PUBLISHED)}

    def first_shown(self) -> dict[str, Event]:
        """The event that first brought each run to analysts, by run id: its instant is the run's `scored_at`."""
        shown: dict[str, Event] = {}
        for each in self.events:
            if each.kind in {PUBLISHED, RECORDED} and each.run_id:
                shown.setdefault(each.run_id, each)
        return shown

    def proof(self, version: str) -> Event | None:
        """What the last proofs of a model version found; null if there were none."""
        found = [each for each in self.events if each.kind in {PROVED, DISPROVED} and each.model_version == version]
        return found[-1] if found else None

    def rows_accepted(self) -> set[str]:
        """The runs whose row counts were far from the usual, and accepted."""
        return {each.run_id for each in self.events if each.rows_accepted and each.run_id}

    def closed(self) -> set[date]:
        """The as-ofs that need no scoring any more: published or skipped."""
        return {each.as_of for each in self.events if each.kind in {PUBLISHED, SKIPPED}}

    def first_nightly(self) -> date | None:
        """The as-of that the nightly command published first of all; null before that."""
        return next((each.as_of for each in self._of(PUBLISHED) if each.reason == NIGHTLY), None)

    def _of(self, kind: str) -> list[Event]:
        return [each for each in self.events if each.kind == kind]


def read_chain(home: Home, job: str) -> Chain:
    """The job's events, each link checked.

    Raises:
        ChainBroken: naming the file that is missing or does not follow the one before.
    """
    folder = home.events(job)
    names = sorted(path.name for path in folder.glob("[0-9]*.json")) if folder.is_dir() else []
    events: list[Event] = []
    head = ""
    for seq, name in enumerate(names, start=1):
        if name != _name(seq):
            raise ChainBroken(f"{folder / _name(seq)} is missing; restore it from a backup of SCORE_HOME")
        body, digest = read_sealed(folder / name, "event")
        if body["previous"] != head or body["job"] != job or body["seq"] != seq:
            raise ChainBroken(f"{folder / name} does not follow the event before it; restore the folder from a backup")
        events.append(_from_json(body))
        head = digest
    return Chain(job, tuple(events), head)


def append(
    home: Home,
    chain: Chain,
    kind: str,
    *,
    at: datetime,
    reason: str,
    as_of: date,
    run_id: str | None = None,
    model_version: str | None = None,
    unproven: bool = False,
    record: str | None = None,
    rows_accepted: bool = False,
) -> Chain:
    """Add one event, durably; the caller holds the job's lock.

    Raises:
        ChainBroken: if the chain that was read is not the chain any more.
    """
    seq = len(chain.events) + 1
    event = Event(seq, kind, at.isoformat(), reason, as_of, run_id, model_version, unproven, record, rows_accepted)
    body = {**_to_json(event), "job": chain.job, "previous": chain.head}
    place = home.events(chain.job) / _name(event.seq)
    if place.exists():
        raise ChainBroken(f"{place} was written by somebody who does not hold the lock of {chain.job}; look, run again")
    _drop_abandoned(place.parent)
    try:
        digest = write_document(place, "event", body)
    except OSError:
        place.unlink(missing_ok=True)  # it may not outlive a power cut, so nothing was decided
        raise
    return Chain(chain.job, (*chain.events, event), digest)


def _drop_abandoned(folder: Path) -> None:
    """Remove what a kill left in the middle of writing an event; whoever holds the lock is the only one to write."""
    for left in folder.glob(f".*{BESIDE}"):
        left.unlink(missing_ok=True)


def _name(seq: int) -> str:
    return f"{seq:08d}.json"


def _to_json(event: Event) -> dict[str, Json]:
    return {
        "as_of": event.as_of.isoformat(),
        "at": event.at,
        "kind": event.kind,
        "model_version": event.model_version,
        "reason": event.reason,
        "run_id": event.run_id,
        "seq": event.seq,
        **({"unproven": True} if event.unproven else {}),
        **({"record": event.record} if event.record else {}),
        **({"rows_accepted": True} if event.rows_accepted else {}),
    }


def _from_json(body: Mapping[str, Json]) -> Event:
    return Event(
        seq=cast("int", body["seq"]),
        kind=cast("str", body["kind"]),
        at=cast("str", body["at"]),
        reason=cast("str", body["reason"]),
        as_of=date.fromisoformat(cast("str", body["as_of"])),
        run_id=cast("str | None", body["run_id"]),
        model_version=cast("str | None", body["model_version"]),
        unproven=cast("bool", body.get("unproven", False)),
        record=cast("str | None", body.get("record")),
        rows_accepted=cast("bool", body.get("rows_accepted", False)),
    )
