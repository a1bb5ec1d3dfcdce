"""What `score gc` found, or deleted, as a person reads it and as JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from jobs.screen import say, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobs.collecting.choosing import Plan
    from jobs.collecting.stored import StoredFile
    from jobs.screen import Screen

_SHORT = 12
_MOST_LINES = 20
_DAY_S = 86_400
_UNITS = ("bytes", "kB", "MB", "GB")


def show_collected(screen: Screen, plan: Plan, older_than_s: float, *, deleted: bool) -> None:
    """What may go, or went, and what stays."""
    content = {
        "deleted": deleted,
        "older_than_s": older_than_s,
        "snapshots": [
            {"job": s.job, "as_of": s.as_of, "digest": s.digest, "taken_at": s.taken_at} for s in plan.snapshots
        ],
        "objects": {"count": len(plan.objects), "bytes": _bytes(plan.objects)},
        "temporary": {"count": len(plan.temporary), "bytes": _bytes(plan.temporary)},
        "oldest": _day(plan.oldest_at),
        "more_than_half": plan.most,
        "too_young": plan.young,
        "kept": {
            "snapshots": plan.kept_snapshots,
            "objects": len(plan.kept_objects),
            "bytes": _bytes(plan.kept_objects),
        },
    }  # fmt: skip
    screen.show(content, lambda: _lines(plan, older_than_s, deleted=deleted))


def _lines(plan: Plan, older_than_s: float, *, deleted: bool) -> None:
    if plan.anything:
        say(
            f"{'deleted' if deleted else 'would delete'} {_count(len(plan.snapshots), 'snapshot')}, "
            f"{_count(len(plan.objects), 'object')} ({_amount(_bytes(plan.objects))}) and "
            f"{_count(len(plan.temporary), 'temporary file')}, the oldest of {_day(plan.oldest_at)}"
        )
    else:
        say("nothing to delete")
    if plan.snapshots:
        shown = plan.snapshots[:_MOST_LINES]
        table(
            ("job", "as of", "snapshot", "taken at"), [(s.job, s.as_of, s.digest[:_SHORT], s.taken_at) for s in shown]
        )
        if len(plan.snapshots) > len(shown):
            say(f"... and {len(plan.snapshots) - len(shown):,} more; all of them with --json")
    say(
        f"kept: {_count(plan.kept_snapshots, 'snapshot')}, {_count(len(plan.kept_objects), 'object')} "
        f"({_amount(_bytes(plan.kept_objects))})"
    )
    if plan.young:
        say(f"nobody needs {_count(plan.young, 'thing')} more, younger than {_age(older_than_s)}")
    if plan.anything and not deleted:
        more = " --more-than-half" if plan.most else ""
        say(f"nothing was deleted; to do it: score gc --delete{more}")
    if plan.most and not deleted:
        say("these are more than half of all objects: make sure that the home is whole first (score verify --all)")


def _bytes(files: Sequence[StoredFile]) -> int:
    return sum(file.size for file in files)


def _count(count: int, name: str) -> str:
    return f"{count:,} {name}{'' if count == 1 else 's'}"


def _amount(count: int) -> str:
    """Bytes as a person says them."""
    value, unit = float(count), 0
    while value >= 1000 and unit < len(_UNITS) - 1:  # noqa: PLR2004  kilo
        value, unit = value / 1000, unit + 1
    return f"{value:,.1f} {_UNITS[unit]}" if unit else f"{count} bytes"


def _age(seconds: float) -> str:
    days = seconds / _DAY_S
    return f"{days:g} days" if days != 1 else "a day"


def _day(at: float | None) -> str | None:
    return datetime.fromtimestamp(at, UTC).date().isoformat() if at is not None else None
