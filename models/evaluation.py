"""How good scores are, against what really happened, against a constant, and against a naive score.

`measure` tells the kinds apart: probabilities here, amounts in `models.amounts`. Counts and ranks are integers, with
one division at the end. Where floats must be added, `math.fsum` does it: its result is the exact sum, rounded once, and
so does not depend on the order; the sequences are in key order all the same.
"""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np

from models.amounts import AmountQuality, amount_quality, mean_and_median
from models.booster import Floats

_DECILES = 10
_LEAST = 1e-15  # a probability of 0 or 1 that is wrong would cost infinity; LightGBM's own loss stops here too


@dataclass(frozen=True)
class Decile:
    """One tenth of the scored rows, the lowest scores first."""

    decile: int
    rows: int
    mean_score: float
    observed_rate: float


@dataclass(frozen=True)
class Naive:
    """The same sample, had a column of the features been the probability; where it is null, the base rate.

    It is held between 0 and 1.
    """

    feature: str
    auc: float | None
    log_loss: float
    brier: float


@dataclass(frozen=True)
class Quality:
    """How good one sample of scores is; losses are in nats, `base_*` are those of one constant probability."""

    rows: int
    positives: int
    auc: float | None
    """Chance that a positive row outranks a negative one, ties counted half; null unless there are both."""
    log_loss: float
    brier: float
    base_rate: float
    """Share of positives in the nights that the model was trained on."""
    base_log_loss: float
    base_brier: float
    calibration: tuple[Decile, ...]
    baseline: Naive | None = None


@dataclass(frozen=True)
class Constants:
    """What the labels of the nights that a model was trained on say of a label: the best constants to compare with."""

    mean: float
    """Of 0 and 1, the base rate."""
    median: float

    @classmethod
    def of(cls, label: Floats) -> "Constants":
        """Those of some labels."""
        return cls(*mean_and_median(label))


@dataclass(frozen=True)
class Sample:
    """What is measured, in key order: raw scores, scores, what happened; and a naive score, if one is declared."""

    raw: Floats
    score: Floats
    label: Floats
    binary: bool
    """Whether a score is the probability of a label that is 0 or 1, and no amount."""
    baseline: tuple[str, Floats] | None = None
    """The name of a feature, and its values, NaN where it is null."""


@dataclass(frozen=True)
class Metrics:
    """What the validation model (not the final one, which has seen these nights) scored on the last nights."""

    first_night: str
    last_night: str
    nights: int
    trained_rows: int
    trained_nights: int
    quality: Quality | AmountQuality

    def to_json(self) -> dict[str, object]:
        """The same as JSON values, with a sentence that says what was measured."""
        about = (
            f"a model trained on the {self.trained_nights} nights before {self.first_night}, on the nights from then on"
        )
        content = {"measured": about, **asdict(self)}
        if self.quality.baseline is None:
            del content["quality"]["baseline"]
        return content


def measure(sample: Sample, constants: Constants) -> Quality | AmountQuality:
    """How good the scores of a sample are, by the measures of their kind."""
    if not len(sample.label):
        raise ValueError("there is no row to measure")
    if not sample.binary:
        return amount_quality(sample.score, sample.label, (constants.mean, constants.median), sample.baseline)
    return quality(sample.raw, sample.score, sample.label, constants.mean, sample.baseline)


def quality(
    raw: Floats,
    probability: Floats,
    label: Floats,
    base_rate: float,
    baseline: tuple[str, Floats] | None = None,
) -> Quality:
    """Measure a sample in key order: its raw scores, their probabilities, and its labels, 0 or 1."""
    rows, positives = len(label), int(label.sum())
    if not rows:
        raise ValueError("there is no row to measure")
    constant = [base_rate] * rows
    outcomes = label.tolist()
    return Quality(
        rows=rows,
        positives=positives,
        auc=auc(raw, label),
        log_loss=log_loss(probability.tolist(), outcomes),
        brier=brier(probability.tolist(), outcomes),
        base_rate=base_rate,
        base_log_loss=log_loss(constant, outcomes),
        base_brier=brier(constant, outcomes),
        calibration=calibration(probability, label),
        baseline=_naive(*baseline, label, base_rate) if baseline else None,
    )


def _naive(feature: str, values: Floats, label: Floats, base_rate: float) -> Naive:
    held = np.clip(np.where(np.isnan(values), base_rate, values), 0.0, 1.0)
    outcomes = label.tolist()
    return Naive(feature, auc(held, label), log_loss(held.tolist(), outcomes), brier(held.tolist(), outcomes))


def auc(scores: Floats, label: Floats) -> float | None:
    """Area under the ROC curve, exact: whole numbers of pairs, ties as half; null if one class is absent."""
    if np.isnan(scores).any():
        raise ValueError("a score is NaN")
    distinct, group = np.unique(scores, return_inverse=True)
    ones = np.bincount(group[label == 1], minlength=len(distinct)).tolist()
    zeros = np.bincount(group[label == 0], minlength=len(distinct)).tolist()
    won_twice, below = 0, 0
    for one, zero in zip(ones, zeros, strict=True):
        won_twice += one * (2 * below + zero)
        below += zero
    pairs = sum(ones) * sum(zeros)
    return won_twice / (2 * pairs) if pairs else None


def log_loss(probabilities: Iterable[float], outcomes: Iterable[float]) -> float:
    """Mean of -ln(probability of what happened), in nats; probabilities are kept 1e-15 away from 0 and 1."""
    kept = (min(max(p, _LEAST), 1.0 - _LEAST) for p in probabilities)
    return _mean(-math.log(p) if y else -math.log1p(-p) for p, y in zip(kept, outcomes, strict=True))


def brier(probabilities: Iterable[float], outcomes: Iterable[float]) -> float:
    """Mean squared distance of the probability from what happened."""
    return _mean((p - y) * (p - y) for p, y in zip(probabilities, outcomes, strict=True))


def calibration(probability: Floats, label: Floats) -> tuple[Decile, ...]:
    """One row a decile, by score and then by position (key order); fewer than ten if there are fewer rows."""
    order = np.argsort(probability, kind="stable")
    decile_of = np.arange(len(order)) * _DECILES // max(len(order), 1)
    return tuple(
        Decile(
            decile=int(tenth) + 1,
            rows=len(members),
            mean_score=_mean(probability[members].tolist()),
            observed_rate=int(label[members].sum()) / len(members),
        )
        for tenth in np.unique(decile_of)
        for members in [order[decile_of == tenth]]
    )


def _mean(values: Iterable[float]) -> float:
    """Mean of an explicitly ordered sequence, its sum rounded once."""
    sequence = tuple(values)
    return math.fsum(sequence) / len(sequence)
