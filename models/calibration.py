"""Calibration: from a raw score to a probability, by what happened to rows that the scoring model had not seen.

Both methods take rows as a set: no result depends on their order, or on the number of threads. Both never invert the
order of two raw scores. What is fitted is plain data that comes back from JSON to the bit.

Isotonic: rows of equal raw score are pooled first, then neighbours whose shares fall (pool adjacent violators),
compared as whole numbers; then neighbours until each block has `least_rows` and both outcomes, so that no score is 0 or
1. A block's value is one division.

Platt: the two numbers of `1 / (1 + exp(-(slope * raw + offset)))` with the least log loss, towards Platt's targets
(which count one row more of each outcome). Newton's method; its sums are exact (`math.fsum`), so no order matters.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from models.booster import Floats
from models.calibrating import Asked, Between

_BEYOND = 1e100  # raw scores of a model of chances lie within some tens of 0
_ITERATIONS, _HALVINGS = 100, 40
_FLAT = 1e-12  # a gradient, by row, at which Newton's method has arrived


class CalibrationFailed(ValueError):
    """The rows to calibrate by do not say how: all the same outcome, or the higher scored happened less."""


class CalibrationUnknown(ValueError):
    """A kept calibration is none that this code knows."""


@dataclass(frozen=True, slots=True)
class Block:
    """Raw scores from lowest to highest, how many rows had them, and to how many of those it happened."""

    lowest: float
    highest: float
    happened: int
    rows: int

    def with_next(self, other: "Block") -> "Block":
        """The two as one."""
        return Block(self.lowest, other.highest, self.happened + other.happened, self.rows + other.rows)


@dataclass(frozen=True)
class Isotonic:
    """A share for each block of raw scores, ascending; between blocks the lower one's (`step`), or on the line."""

    between: Between
    blocks: tuple[Block, ...]

    def scores(self, raw: Floats) -> Floats:
        """One score a raw score; below the first block and above the last, what these have."""
        lowest, highest = (np.array([getattr(each, name) for each in self.blocks]) for name in ("lowest", "highest"))
        value = np.array([each.happened / each.rows for each in self.blocks])
        block = np.maximum(np.searchsorted(lowest, raw, side="right") - 1, 0)
        if self.between == "step":
            return cast("Floats", value[block])
        following = np.minimum(block + 1, len(value) - 1)
        gap = np.where(following > block, lowest[following] - highest[block], 1.0)
        part = np.clip(raw - highest[block], 0.0, gap) / gap
        risen = value[block] + (value[following] - value[block]) * part
        return cast("Floats", np.minimum(risen, value[following]))

    def to_json(self) -> dict[str, object]:
        """As plain data."""
        blocks = [[each.lowest, each.highest, each.happened, each.rows] for each in self.blocks]
        return {"method": "isotonic", "between": self.between, "blocks": blocks}


@dataclass(frozen=True)
class Platt:
    """A line in the raw score, whose logistic is the score."""

    slope: float
    offset: float

    def to_json(self) -> dict[str, object]:
        """As plain data."""
        return {"method": "platt", "slope": self.slope, "offset": self.offset}


type Calibration = Isotonic | Platt


def calibration_of(content: Mapping[str, object]) -> Calibration:
    """What `to_json` wrote.

    Raises:
        CalibrationUnknown: if it is anything else.
    """
    given = dict(content)
    method = given.pop("method", None)
    try:
        if method == "platt":
            return Platt(**cast("dict[str, float]", given))
        if method == "isotonic" and given.keys() == {"between", "blocks"}:
            blocks = cast("list[tuple[float, float, int, int]]", given["blocks"])
            return Isotonic(cast("Between", given["between"]), tuple(Block(*each) for each in blocks))
    except TypeError:
        pass
    raise CalibrationUnknown(
        f"a calibration by `{method}` is not known to this code; score with the code of that version"
    )


def fit_calibration(asked: Asked, raw: Floats, label: Floats) -> Calibration:
    """Calibrate by rows that the model which gave these raw scores had not seen; `label` is 0 or 1.

    Raises:
        CalibrationFailed: if the rows do not say how.
    """
    happened, rows = int(label.sum()), len(label)
    if happened in (0, rows):
        raise CalibrationFailed(
            f"all {rows} rows to calibrate by have the same outcome; calibrate by more nights (`validation_nights`)"
        )
    if not (np.abs(raw) < _BEYOND).all():
        raise CalibrationFailed(f"raw scores to calibrate by are not within {_BEYOND:g} of 0")
    return _isotonic(asked, raw, label) if asked.method == "isotonic" else _platt(raw, label)


def _isotonic(asked: Asked, raw: Floats, label: Floats) -> Isotonic:
    return Isotonic(asked.between, tuple(_large(_ascending(_pooled(raw, label)), asked.least_rows)))


def _pooled(raw: Floats, label: Floats) -> list[Block]:
    """One block a raw score, ascending."""
    distinct, group = np.unique(raw + 0.0, return_inverse=True)  # -0.0 is 0.0
    rows = np.bincount(group).tolist()
    happened = np.bincount(group[label == 1], minlength=len(distinct)).tolist()
    return [Block(one, one, ones, every) for one, ones, every in zip(distinct.tolist(), happened, rows, strict=True)]


def _ascending(blocks: Sequence[Block]) -> list[Block]:
    """Neighbours pooled until each share is above the one before; shares are compared as whole numbers."""
    kept: list[Block] = []
    for following in blocks:
        block = following
        while kept and kept[-1].happened * block.rows >= block.happened * kept[-1].rows:
            block = kept.pop().with_next(block)
        kept.append(block)
    return kept


def _large(blocks: Sequence[Block], least_rows: int) -> list[Block]:
    """Neighbours pooled until each has rows enough, and both outcomes; what is left at the end joins the last."""
    kept: list[Block] = []
    open_block: Block | None = None
    for block in blocks:
        open_block = open_block.with_next(block) if open_block else block
        if open_block.rows >= least_rows and 0 < open_block.happened < open_block.rows:
            kept.append(open_block)
            open_block = None
    if open_block:
        kept.append(kept.pop().with_next(open_block) if kept else open_block)
    return kept


def _platt(raw: Floats, label: Floats) -> Platt:
    order = np.lexsort((label, raw))
    scores, happened = raw[order], int(label.sum())
    high, low = (happened + 1) / (happened + 2), 1 / (len(label) - happened + 2)
    target = np.where(label[order] == 1, high, low)
    line = Platt(0.0, math.log((happened + 1) / (len(label) - happened + 1)))
    loss = _loss(line, scores, target)
    for _ in range(_ITERATIONS):
        step = _newton_step(line, scores, target)
        better = next(((each, now) for each in _along(line, step) if (now := _loss(each, scores, target)) < loss), None)
        if better is None:
            break
        line, loss = better
    if line.slope <= 0:
        raise CalibrationFailed(
            "to the rows with higher scores, by which to calibrate, it happened no more often; take another model"
        )
    return line


def _newton_step(line: Platt, scores: Floats, target: Floats) -> tuple[float, float]:
    """What to add to slope and offset: the gradient over the curvature, all sums exact."""
    chance = np.array([_logistic(each) for each in (line.slope * scores + line.offset).tolist()])
    error, curve = chance - target, chance * (1.0 - chance)
    by_slope, by_offset = math.fsum((error * scores).tolist()), math.fsum(error.tolist())
    if max(abs(by_slope), abs(by_offset)) <= _FLAT * len(scores):
        return 0.0, 0.0
    bent = curve * scores
    aa, ab, bb = math.fsum((bent * scores).tolist()), math.fsum(bent.tolist()), math.fsum(curve.tolist())
    determinant = aa * bb - ab * ab
    if determinant <= 0:  # one raw score alone: no line is better than another
        return 0.0, 0.0
    return (ab * by_offset - bb * by_slope) / determinant, (ab * by_slope - aa * by_offset) / determinant


def _along(line: Platt, step: tuple[float, float]) -> Iterator[Platt]:
    """The whole step, then half of it, and so on."""
    for halvings in range(_HALVINGS if any(step) else 0):
        part = 0.5**halvings
        yield Platt(line.slope + step[0] * part, line.offset + step[1] * part)


def _loss(line: Platt, scores: Floats, target: Floats) -> float:
    """Log loss towards the targets, summed exactly."""
    lines = (line.slope * scores + line.offset).tolist()
    return math.fsum(_softplus(x) - t * x for x, t in zip(lines, target.tolist(), strict=True))


def _softplus(x: float) -> float:
    """ln(1 + exp(x))."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def _logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))
