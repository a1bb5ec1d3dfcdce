"""How good predicted amounts are: against what really happened, against constants, and against a naive score.

Ranks, ties and amounts that are whole numbers are added as integers, with one division at the end. Where floats must be
added, `math.fsum` does it: its result is the exact sum, rounded once, and so does not depend on the order.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.booster import Floats

_TENTHS = 10


@dataclass(frozen=True)
class Tenth:
    """One tenth of the scored rows, the lowest scores first."""

    tenth: int
    rows: int
    mean_score: float
    mean_observed: float


@dataclass(frozen=True)
class NaiveAmounts:
    """The same sample, had a column of the features been the score; where it is null, the mean of the training labels.

    `r2_over` is the share of its squared error that the model is spared: 0 is no better, negative is worse.
    """

    feature: str
    mae: float
    rmse: float
    mean_error: float
    spearman: float | None
    top_tenth_share: float | None
    r2_over: float | None


@dataclass(frozen=True)
class AmountQuality:
    """How good one sample of predicted amounts is, in the units of the label; `base_*` are those of constants."""

    rows: int
    mae: float
    rmse: float
    mean_error: float
    """Score less what happened, on average: the bias."""
    r2: float | None
    """Share of the squared error of `base_mean` that is gone; null if that constant makes no error."""
    spearman: float | None
    """Rank correlation, ties by their mean rank; null where all scores, or all labels, are the same."""
    top_tenth_share: float | None
    """Of all that happened, the share that the tenth of the rows with the highest scores had."""
    mean_observed: float
    base_mean: float
    """Mean label of the nights that the model was trained on; the constant of `base_rmse`."""
    base_median: float
    """Their (lower) median: the constant of `base_mae`, for no other has a smaller absolute error there."""
    base_mae: float
    base_rmse: float
    baseline: NaiveAmounts | None
    calibration: tuple[Tenth, ...]


def amount_quality(
    score: Floats,
    label: Floats,
    constants: tuple[float, float],
    baseline: tuple[str, Floats] | None = None,
) -> AmountQuality:
    """Measure a sample in key order: its scores, its labels, mean and median of the training labels.

    `baseline` names a feature and has its values, NaN where it has none.
    """
    mean, median = constants
    observed, error = label.tolist(), (score - label).tolist()
    squared = _squares(error)
    of_mean = _squares([mean - each for each in observed])
    return AmountQuality(
        rows=len(observed),
        mae=_mean([abs(each) for each in error]),
        rmse=math.sqrt(squared / len(observed)),
        mean_error=_mean(error),
        r2=_spared(squared, of_mean),
        spearman=spearman(score, label),
        top_tenth_share=top_tenth_share(score, label),
        mean_observed=_mean(observed),
        base_mean=mean,
        base_median=median,
        base_mae=_mean([abs(median - each) for each in observed]),
        base_rmse=math.sqrt(of_mean / len(observed)),
        baseline=_naive(baseline[0], baseline[1], label, mean, squared) if baseline else None,
        calibration=tenths(score, label),
    )


def mean_and_median(label: Floats) -> tuple[float, float]:
    """The mean of some labels, and the lower one of the two in their middle."""
    ordered = np.sort(label)
    return _mean(ordered.tolist()), float(ordered[(len(ordered) - 1) // 2])


def spearman(scores: Floats, label: Floats) -> float | None:
    """Correlation of ranks, ties by their mean rank, all sums in integers; null where either side is constant."""
    one, other = _twice_ranks(scores), _twice_ranks(label)
    rows, total = len(one), sum(one)  # the ranks of both sides add up to the same
    both = rows * sum(a * b for a, b in zip(one, other, strict=True)) - total * total
    spread = (rows * sum(a * a for a in one) - total * total) * (rows * sum(b * b for b in other) - total * total)
    return both / math.sqrt(spread) if spread else None


def top_tenth_share(scores: Floats, label: Floats) -> float | None:
    """Of the sum of labels, the share of the highest tenth by score, ties in key order; null over nothing."""
    total = math.fsum(label.tolist())
    highest = np.argsort(-scores, kind="stable")[: -(-len(scores) // _TENTHS)]
    return math.fsum(label[highest].tolist()) / total if total else None


def tenths(score: Floats, label: Floats) -> tuple[Tenth, ...]:
    """One row a tenth, by score and then by position (key order); fewer than ten if there are fewer rows."""
    order = np.argsort(score, kind="stable")
    tenth_of = np.arange(len(order)) * _TENTHS // max(len(order), 1)
    return tuple(
        Tenth(int(tenth) + 1, len(members), _mean(score[members].tolist()), _mean(label[members].tolist()))
        for tenth in np.unique(tenth_of)
        for members in [order[tenth_of == tenth]]
    )


def _naive(feature: str, values: Floats, label: Floats, mean: float, of_model: float) -> NaiveAmounts:
    score = np.where(np.isnan(values), mean, values)
    error = (score - label).tolist()
    squared = _squares(error)
    return NaiveAmounts(
        feature=feature,
        mae=_mean([abs(each) for each in error]),
        rmse=math.sqrt(squared / len(error)),
        mean_error=_mean(error),
        spearman=spearman(score, label),
        top_tenth_share=top_tenth_share(score, label),
        r2_over=_spared(of_model, squared),
    )


def _twice_ranks(values: Floats) -> list[int]:
    """Twice the rank of each value from 1, equal ones at the mean of their ranks: whole numbers."""
    if np.isnan(values).any():
        raise ValueError("a value to be ranked is NaN")
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    after = np.cumsum(counts)
    twice: list[int] = (2 * after - counts + 1)[group].tolist()
    return twice


def _spared(squared: float, of_other: float) -> float | None:
    return 1.0 - squared / of_other if of_other else None


def _squares(values: Sequence[float]) -> float:
    return math.fsum(each * each for each in values)


def _mean(values: Sequence[float]) -> float:
    """Mean, its sum rounded once."""
    return math.fsum(values) / len(values)
