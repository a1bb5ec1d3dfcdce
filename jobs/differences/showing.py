"""What `score diff` prints: what two runs differ in, what moved their scores, how far, and whose moved most."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from jobs.differences.causes import NO_CHANGE, listed
from jobs.differences.differing import PARTS
from jobs.screen import arrow, bars, narrowed, say, table
from jobs.steps.reports import SHORT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from jobs.differences.causes import Cause, Difference, Entity
    from jobs.differences.differing import Side
    from jobs.screen import Screen
    from jobs.store.ledger import Comparison

_FEW = 5  # of the entities that only one run has
_BINS = 6  # on each side of no change
_DECIMALS = 6
_LONG = 30  # characters, from which on a text is a digest


def show_difference(screen: Screen, found: Difference, top: int) -> None:
    """Two runs, the causes in order of swaps, the histogram of changes, the entities that moved most."""
    screen.show(_content(found), lambda: _lines(found, top))


def _content(found: Difference) -> dict[str, object]:
    remainder = next((each for each in found.causes if each.causes), None)
    rewritten = found.rewritten
    return {
        "job": found.job.name,
        "a": _side_json(found.a),
        "b": _side_json(found.b),
        "same": [name for name in PARTS if name not in found.unlike],
        "differs": found.unlike,
        "other_values": found.other_values,
        "rewritten": _counted(rewritten) if rewritten else None,
        "arrivals": dict(rewritten.arrivals) if rewritten else None,
        "in_both": found.entities.both.height,
        "only_in_a": found.entities.only_a.to_dicts(),
        "only_in_b": found.entities.only_b.to_dicts(),
        "causes": [_cause_json(each) for each in found.causes],
        "remainder": {"causes": remainder.causes, "why": remainder.why} if remainder else None,
        "together": _cause_json(found.together),
        "entities": [_entity_json(each) for each in found.moved],
    }


def _side_json(side: Side) -> dict[str, object]:
    inputs = side.run.inputs
    return {
        "run_id": side.run.run_id,
        "as_of": inputs.as_of,
        "model_version": inputs.model_version,
        "snapshot_digest": inputs.snapshot_digest,
        "scored_at": side.scored_at,
        "row_count": side.run.row_count,
        "scores_digest": side.run.scores_digest,
    }


def _cause_json(cause: Cause) -> dict[str, object]:
    return {
        "cause": cause.name,
        "moved": len(cause.changes),
        "mean": float(cause.mean),
        "largest": float(cause.largest),
        "share": float(cause.share),
        "sum": float(cause.sum),
        "exact_sum": cause.sum,
    }


def _entity_json(entity: Entity) -> dict[str, object]:
    return {
        "key": entity.key,
        "score": entity.score,
        "raw_score": entity.raw_score,
        "rank": entity.rank,
        "change": float(entity.change),
        "exact_change": entity.change,
        "by_cause": entity.by_cause,
    }


def _lines(found: Difference, top: int) -> None:
    both, moved = found.entities.both.height, len(found.together.changes)
    _say_runs(found)
    say()
    say(f"{both:,} entities are in both runs, {moved:,} of them moved")
    _say_others("A", found.entities.only_a)
    _say_others("B", found.entities.only_b)
    if both and not found.moved:
        say("every score is the same, to the bit")
    if not found.moved:
        return
    say()
    _say_causes(found)
    say()
    say("change of the score from A to B, and how many moved so far")
    bars(histogram([each.change for each in found.moved], both - len(found.moved)))
    if top and moved:
        say()
        _say_movers(found, top)


def _say_runs(found: Difference) -> None:
    say(f"{found.job.name}, from run A to run B")
    rows = [
        (name, side.run.run_id[:SHORT], side.run.inputs.as_of, side.run.inputs.model_version, _minute(side.scored_at))
        for name, side in (("A", found.a), ("B", found.b))
    ]
    table(("", "run", "as of", "model version", "scored at (UTC)"), rows)
    say()
    say(f"the same: {listed([name for name in PARTS if name not in found.unlike]) or 'nothing'}")
    begin = "differs:  "
    for part, names in found.unlike.items():
        say(f"{begin}{part}: {_how(found, part, names)}")
        begin = " " * len(begin)
        for line in _rows_lines(found.rewritten) if part == "snapshot" else ():
            say(f"{begin}  {line}")


def _how(found: Difference, part: str, names: Mapping[str, tuple[object, object]]) -> str:
    if part == "feature values" and found.other_values:
        counts, columns = found.other_values, len(found.b.run.feature_digests) - len(found.job.key) - 1
        return f"{len(counts)} of {columns} columns, most often {max(counts, key=lambda name: counts[name])}"
    pairs = [f"{_cut(one)} {arrow()} {_cut(two)}" for one, two in names.values()]
    several = part in {"SQL", "environment"}
    return ", ".join(f"{name} {pair}" for name, pair in zip(names, pairs, strict=True)) if several else pairs[0]


def _cut(value: object) -> str:
    """What tells one from the other: of a digest its beginning, of a version all."""
    text = "none" if value is None else str(value)
    return text[:SHORT] if len(text) > _LONG else text


def _rows_lines(rewritten: Comparison | None) -> list[str]:
    """By table, how many rows became what."""
    if rewritten is None:
        return ["their rows can no longer be compared"]
    tables: dict[str, list[str]] = {}
    for each in _counted(rewritten):
        tables.setdefault(str(each["table"]), []).append(f"{each['rows']:,} {each['kind']}")
    for name, arrived in rewritten.arrivals.items():
        if arrived:
            tables.setdefault(name, []).append(f"{arrived:,} arrived")
    return [f"{name}: {', '.join(kinds)}" for name, kinds in tables.items()]


def _counted(rewritten: Comparison) -> list[dict[str, object]]:
    kinds = [(each.table, each.kind.value) for each in rewritten.mutations]
    return [{"table": name, "kind": kind, "rows": kinds.count((name, kind))} for name, kind in dict.fromkeys(kinds)]


def _say_others(name: str, keys: pl.DataFrame) -> None:
    """How many entities only one of the runs has, and the first of them."""
    if keys.height:
        say(f"{keys.height:,} only in {name}: {first_keys(keys)}")


def first_keys(keys: pl.DataFrame) -> str:
    """The first few of some entities, by their keys alone."""
    names = [" ".join(map(str, row)) for row in keys.head(_FEW).iter_rows()]
    return ", ".join(names) + (" ..." if keys.height > _FEW else "")


def _say_causes(found: Difference) -> None:
    remainder = next((each for each in found.causes if each.causes), None)
    rows = [
        (
            "cannot be told apart" if each.causes else each.name,
            len(each.changes),
            signed(each.mean),
            signed(each.largest),
            signed(each.sum),
            "-" if not each.changes else f"{float(each.share):.1%}",
        )
        for each in (*found.causes, found.together)
    ]
    headings = ("cause, in order of swaps", "moved", "mean", "largest", "sum", "share")
    table(headings, rows, numbers=headings[1:])
    if remainder is not None:
        say(f"{remainder.name} ({'; '.join(remainder.why)})")
    say("swapped one at a time from A to B; the causes add up to the whole exactly, for every")
    say("entity and in sum; share is of all movement, whatever its sign")


def _say_movers(found: Difference, top: int) -> None:
    shown = [each for each in found.moved if each.change][:top]
    constant = [name for name in found.job.key if len({each.key[name] for each in found.moved}) == 1]
    names = [name for name in found.job.key if name not in constant or len(found.moved) == 1]
    every = ", ".join(f"{name} {shown[0].key[name]}" for name in found.job.key if name not in names)
    say(f"the {len(shown)} that moved furthest{f' (all of {every})' if every else ''}")
    headings = (*names, "score", "change", "rank", "mostly")
    rows = [
        (
            *(str(each.key[name]) for name in names),
            f"{each.score[0]:.4f} {arrow()} {each.score[1]:.4f}",
            signed(each.change, decimals=4),
            f"{each.rank[0]:,} {arrow()} {each.rank[1]:,}",
            _mostly(each),
        )
        for each in shown
    ]
    table(headings, narrowed(headings, rows), numbers=("score", "change", "rank"))


def _mostly(entity: Entity) -> str:
    """The cause that moved an entity furthest; of equals the first in order of swaps."""
    name = max(entity.by_cause, key=lambda name: abs(entity.by_cause[name]), default="-")
    return name.split(":")[0]


def histogram(changes: Sequence[Fraction], unmoved: int) -> list[tuple[str, int]]:
    """Label and count of each bin of changes, from the lowest to the highest; those without a change are one between.

    Bins are of one width, 1, 2 or 5 times a power of ten, at most six on each side; their far end is part of them.
    """
    width = _width(max(map(abs, changes), default=NO_CHANGE))
    places = [_place(change, width) for change in changes]
    counts = {place: places.count(place) for place in range(min(0, *places), max(0, *places) + 1)}
    counts[0] += unmoved
    return [(_label(place, width), count) for place, count in counts.items()]


def _width(largest: Fraction) -> Fraction:
    """The smallest of 1, 2 or 5 times a power of ten, so that six bins reach the largest change."""
    power = Fraction(1)
    while power * _BINS > largest > 0:
        power /= 10
    while power * _BINS < largest:
        power *= 10
    fitting = (power / 10 * nice for nice in (1, 2, 5, 10))
    return next(width for width in fitting if width * _BINS >= largest)


def _place(change: Fraction, width: Fraction) -> int:
    away = -(-abs(change) // width)
    return int(away) if change > 0 else -int(away)


def _label(place: int, width: Fraction) -> str:
    if not place:
        return "no change"
    near, far = (place - 1, place) if place > 0 else (place + 1, place)
    ends = sorted(float(end * width) for end in (near, far))
    decimals = next(count for count in range(400) if (width * 10**count).denominator == 1)
    style = "+.0e" if decimals > _DECIMALS else f"+.{decimals}f"
    return " to ".join(format(end, style) if end else "0" for end in ends)


def signed(number: Fraction, *, decimals: int = _DECIMALS) -> str:
    """A change with its sign; one that the decimals would not show as a power of ten, none as 0."""
    if not number:
        return "0"
    fixed = f"{float(number):+.{decimals}f}"
    return fixed if any(digit in "123456789" for digit in fixed) else f"{float(number):+.0e}"


def _minute(instant: str | None) -> str:
    return "not on record" if instant is None else instant[:16].replace("T", " ")
