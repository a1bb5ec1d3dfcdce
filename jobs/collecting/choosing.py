"""What may go: decided from what is stored, touching nothing."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jobs.collecting.stored import Name, Stored, StoredFile, StoredSnapshot


class StateIncomplete(Exception):
    """A home in which something could go, but which does not look like a whole one."""


class MostWouldGo(Exception):
    """More than half of the objects would go, and nobody said that this is right."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What may go and what stays; `young` is how many snapshots, objects and temporary files only their age keeps."""

    snapshots: tuple[StoredSnapshot, ...]
    objects: tuple[StoredFile, ...]
    temporary: tuple[StoredFile, ...]
    kept_snapshots: int
    kept_objects: tuple[StoredFile, ...]
    young: int

    @property
    def anything(self) -> bool:
        """Whether there is anything that may go."""
        return bool(self.snapshots or self.objects or self.temporary)

    @property
    def most(self) -> bool:
        """Whether more than half of all objects would go."""
        return len(self.objects) > len(self.kept_objects)

    @property
    def oldest_at(self) -> float | None:
        """When the oldest of what may go was written, in seconds since 1970."""
        files = [each.written_at for each in (*self.objects, *self.temporary)]
        return min([*files, *(each.written_at for each in self.snapshots)], default=None)


def choose(stored: Stored, before: float) -> Plan:
    """What nothing needs and was written before an instant, in seconds since 1970.

    Raises:
        StateIncomplete: if something could go, and the home does not look whole.
    """
    needed = stored.used | _newest(stored.snapshots) | _last_read(stored.snapshots)
    unneeded = [each for each in stored.snapshots if each.name not in needed]
    go = tuple(each for each in unneeded if each.written_at < before)
    gone = {each.name for each in go}
    stay = [each for each in stored.snapshots if each.name not in gone]
    referred = stored.golden.union(*(each.objects for each in stay))
    wanted = stored.golden.union(*(each.objects for each in stay if each.name in needed))
    objects = tuple(each for each in stored.objects if each.path not in referred and each.written_at < before)
    loosened = {each.path for each in objects}
    temporary = tuple(each for each in stored.temporary if each.written_at < before)
    plan = Plan(
        snapshots=go,
        objects=objects,
        temporary=temporary,
        kept_snapshots=len(stay),
        kept_objects=tuple(each for each in stored.objects if each.path not in loosened),
        young=sum(
            (
                len(unneeded) - len(go),
                sum(each.path not in wanted for each in stored.objects) - len(objects),
                len(stored.temporary) - len(temporary),
            )
        ),
    )
    _require_whole(stored, plan)
    return plan


def _newest(snapshots: Iterable[StoredSnapshot]) -> set[Name]:
    """Of each as-of and purpose the one that was taken last: the next look at that night finds it, or is held to it."""
    by_purpose = sorted(snapshots, key=lambda each: (*_purpose(each), each.taken_at, each.digest))
    return {list(group)[-1].name for _, group in groupby(by_purpose, key=_purpose)}


def _purpose(snapshot: StoredSnapshot) -> tuple[str, str, str]:
    return snapshot.job, snapshot.as_of.isoformat(), snapshot.first_night.isoformat()


def _last_read(snapshots: Iterable[StoredSnapshot]) -> set[Name]:
    """The last that each version of SQL took: the next look holds the types of its source columns against them."""
    last: dict[tuple[str, str, str], StoredSnapshot] = {}
    for each in sorted(snapshots, key=lambda each: each.taken_at):
        last |= {(each.job, *query): each for query in each.read_by}
    return {each.name for each in last.values()}


def _require_whole(stored: Stored, plan: Plan) -> None:
    """Pass if nothing would go, or the home has what every home has in which something can."""
    if plan.objects and not stored.snapshots:
        raise StateIncomplete(
            f"{len(stored.objects):,} objects and no snapshot that refers to any: this is no whole home, and nothing "
            "is deleted. Restore the rest of it from the backup"
        )
    jobs = {each.job for each in plan.snapshots} - stored.on_record
    if jobs or (plan.objects and not stored.on_record):
        raise StateIncomplete(
            f"no event of {', '.join(sorted(jobs)) or 'any job'} is on record, so nobody knows what is needed: nothing "
            "is deleted. Restore events/ from the backup; of a job that was never trained nothing has to go"
        )


def require_few(plan: Plan) -> None:
    """Pass unless more than half of the objects would go.

    Raises:
        MostWouldGo: with figures.
    """
    if plan.most:
        raise MostWouldGo(
            f"{len(plan.objects):,} objects would go and {len(plan.kept_objects):,} stay, that is more than half: "
            "nothing is deleted. Is the home whole? Ask score verify --all; if it is, add --more-than-half"
        )
