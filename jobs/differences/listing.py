"""What `score mutations` prints: the nights, the rewritten rows, and the published scores that would change most."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from jobs.differences.showing import first_keys
from jobs.screen import arrow, narrowed, say, table
from jobs.steps.reports import SHORT
from jobs.store.ledger import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date

    from jobs.differences.rewriting import Moved, Night, Rewriting, Row
    from jobs.screen import Screen
    from jobs.store.ledger import Mutation

_MOST_LINES = 40
_FURTHEST = 10


def show_rewriting(screen: Screen, found: Sequence[Rewriting]) -> int:
    """Nights, rows and scores, job by job; returns the exit code."""
    content = [_content(each) for each in found]
    screen.show(content[0] if len(content) == 1 else {"jobs": content}, lambda: _each(found))
    for each in found:
        failed = ((night.failure.message, night.as_of) for night in each.nights if night.failure)
        for message, nights in _by_reason(failed).items():
            screen.warn(f"{each.job} as of {nights}: {message}")
    return max(each.code for each in found)


def _content(found: Rewriting) -> dict[str, object]:
    return {
        "job": found.job,
        "since": found.since,
        "until": found.until,
        "nights": [_night_json(night) for night in found.nights],
        "rows": [_row_json(row) for row in found.rows],
    }


def _night_json(night: Night) -> dict[str, object]:
    entities = night.entities
    return {
        "as_of": night.as_of,
        "run_id": night.run.run_id,
        "model_version": night.run.inputs.model_version,
        "snapshot_digest": night.run.inputs.snapshot_digest,
        "rewritten": _kinds(night),
        "not_compared": night.not_compared,
        "scored_again": entities is not None,
        "unscored": night.unscored,
        "error": night.failure.message if night.failure else None,
        "scores": [_score_json(each) for each in night.moved],
        "would_appear": entities.only_b.to_dicts() if entities else [],
        "would_vanish": entities.only_a.to_dicts() if entities else [],
    }


def _score_json(moved: Moved) -> dict[str, object]:
    return {
        "key": moved.key,
        "score": moved.score,
        "raw_score": moved.raw_score,
        "rank": moved.rank,
        "change": moved.change,
    }


def _row_json(row: Row) -> dict[str, object]:
    found = row.mutation
    nights = {night.isoformat(): row.nights[night].value for night in sorted(row.nights)}
    return {
        "table": found.table,
        "kind": found.kind.value,
        "key": found.key,
        "before": found.before,
        "after": found.after,
        "nights": nights,
    }


def _kinds(night: Night) -> dict[str, int]:
    kinds = [each.kind for each in night.mutations]
    return {kind.value: kinds.count(kind) for kind in Kind if kind in kinds}


def _each(found: Sequence[Rewriting]) -> None:
    for each in found:
        _lines(each)


def _lines(found: Rewriting) -> None:
    furthest = sorted((each for night in found.nights for each in night.moved), key=lambda each: -abs(each.change))
    say(f"{found.job}, what was published since {found.since}, looked at again today")
    say(_in_short(found, furthest))
    say()
    _say_nights(found)
    if found.rows:
        say()
        _say_rows(found)
    if furthest:
        say()
        _say_furthest(furthest)


def _in_short(found: Rewriting, furthest: Sequence[Moved]) -> str:
    untold = sum(1 for night in found.nights if night.unscored or night.failure)
    rows = f"{len(found.rows):,} row(s) were rewritten" if found.rows else "nothing was rewritten"
    if furthest:
        scores = f"{len(furthest):,} score(s) would be different now, by up to {abs(furthest[0].change):.4f}"
    else:
        scores = "every score would be the same"
    if untold == len(found.nights):
        return f"{rows if found.rows else 'which rows were rewritten'}; what the scores would be now cannot be said"
    return f"{rows}; {scores}{f' (of {untold} night(s) it cannot be said)' if untold else ''}"


def _say_nights(found: Rewriting) -> None:
    rows = []
    for night in found.nights:
        kinds, moved = _kinds(night), night.moved
        largest = max((each.change for each in moved), key=abs, default=0.0)
        known = not night.unscored and not night.failure
        rows.append(
            (
                night.as_of,
                night.run.run_id[:SHORT],
                *(kinds.get(kind.value, 0) for kind in Kind),
                len(moved) if known else None,
                f"{largest:+.4f}" if moved else None,
            )
        )
    numbers = (*(kind.value for kind in Kind), "scores", "largest")
    table(("as of", "run", *numbers), rows, numbers=numbers)
    for night in found.nights:
        _say_night(night)
    untold = ((reason, night.as_of) for night in found.nights for reason in _untold(night))
    for reason, nights in _by_reason(untold).items():
        say(f"{nights}: {reason}")


def _say_night(night: Night) -> None:
    """The entities that the table of nights has no place for."""
    if night.entities is not None and night.entities.only_b.height:
        say(f"{night.as_of}: {night.entities.only_b.height:,} would appear: {first_keys(night.entities.only_b)}")
    if night.entities is not None and night.entities.only_a.height:
        say(f"{night.as_of}: {night.entities.only_a.height:,} would vanish: {first_keys(night.entities.only_a)}")


def _by_reason(told: Iterable[tuple[str, date]]) -> dict[str, str]:
    """Each reason once, with its nights."""
    nights: dict[str, list[str]] = {}
    for reason, night in told:
        nights.setdefault(reason, []).append(night.isoformat())
    return {reason: ", ".join(those) for reason, those in nights.items()}


def _untold(night: Night) -> Iterator[str]:
    if night.not_compared:
        yield f"other SQL reads {', '.join(night.not_compared)} now; those rows cannot be compared"
    if night.unscored:
        yield f"cannot be scored again: {night.unscored}"
    elif night.failure:
        yield f"cannot be looked at again: {night.failure.message}"


def _say_rows(found: Rewriting) -> None:
    shown = found.rows[:_MOST_LINES]
    headings = ("table", "key", "kind", "nights", f"before {arrow()} after")
    rows = [
        (row.mutation.table, _key(row.mutation), row.mutation.kind.value, str(len(row.nights)), values(row.mutation))
        for row in shown
    ]
    table(headings, narrowed(headings, rows), numbers=("nights",))
    if len(found.rows) > len(shown):
        say(f"... and {len(found.rows) - len(shown):,} more; all of them, and whole, with --json")


def _key(mutation: Mutation) -> str:
    return " ".join(str(value) for value in mutation.key.values())


def values(mutation: Mutation) -> str:
    """What differs; of a row that vanished or was inserted, what stands in it beside its key."""
    before, after = mutation.before or {}, mutation.after or {}
    if mutation.before is None or mutation.after is None:
        values = {name: value for name, value in {**before, **after}.items() if name not in mutation.key}
        return ", ".join(f"{name} {_cell(value)}" for name, value in values.items())
    return ", ".join(f"{name} {_cell(before[name])} {arrow()} {_cell(after[name])}" for name in before)


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ").removesuffix("+00:00").removesuffix(":00") + "Z"
    return "null" if value is None else str(value)


def _say_furthest(furthest: Sequence[Moved]) -> None:
    shown = furthest[:_FURTHEST]
    names = [name for name in shown[0].key if any(each.key[name] != each.as_of for each in shown)]
    say(f"the {len(shown)} published scores that would change most")
    rows = [
        (
            each.as_of,
            *(each.key[name] for name in names),
            f"{each.score[0]:.4f} {arrow()} {each.score[1]:.4f}",
            f"{each.change:+.4f}",
            f"{each.rank[0]:,} {arrow()} {each.rank[1]:,}",
        )
        for each in shown
    ]
    table(("as of", *names, "score", "change", "rank"), rows, numbers=("score", "change", "rank"))
