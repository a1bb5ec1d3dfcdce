"""Training: the same rows and parameters give the same text, byte for byte, inside one environment."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date

import numpy as np
import polars as pl

from models import booster
from models.booster import Floats
from models.calibration import Calibration, fit_calibration
from models.ensemble import Ensemble, Part, Scorer
from models.evaluation import Constants, Metrics, Sample, measure
from models.matrix import (
    FeaturesDiffer,
    LabelsRefused,
    as_floats,
    check_features,
    check_learnable,
    check_names,
    to_label,
    to_matrix,
)
from models.members import Member
from models.parameters import Parameters
from models.scorer import Model

SINGLE = ""
"""The name of a model that is no member of an ensemble."""


class NotSorted(ValueError):
    """Training rows are not strictly in the order of night and key; another order would give another model."""


class TooFewNights(ValueError):
    """There are no nights left to train on before the nights to validate on."""


def held_out_from(nights: Sequence[date], validation_nights: int) -> date:
    """The first of the last nights, on which a model of earlier ones is measured; `nights` are ascending.

    Raises:
        TooFewNights: if there is none before it.
    """
    if len(nights) <= validation_nights:
        raise TooFewNights(
            f"{len(nights)} nights are too few: the last {validation_nights} are for validation "
            "(`validation_nights`). Train as of a later date, or validate on fewer."
        )
    return nights[-validation_nights]


@dataclass(frozen=True)
class TrainingSet:
    """One row a (night, key), strictly ascending in `order`: the night's column first, then the key's.

    Its columns are exactly `order`, `features` and `label`; the features stand in their declared order.

    Raises:
        FeaturesDiffer: columns are missing, extra or elsewhere.
        NotSorted: rows are out of order, double, or without a night or key.
    """

    frame: pl.DataFrame
    order: tuple[str, ...]
    features: tuple[str, ...]
    label: str

    def __post_init__(self) -> None:
        beside = (*self.order, self.label)
        absent = [name for name in beside if name not in self.frame.columns]
        if absent or not self.order:
            raise FeaturesDiffer(f"a training set has {', '.join(beside)} beside its features; missing: {absent}")
        check_features([name for name in self.frame.columns if name not in beside], self.features)
        check_sorted(self.frame, self.order)


@dataclass(frozen=True)
class Learning:
    """All nights to learn from; and, to measure or to calibrate their kind, the last of them and earlier ones.

    `early` has nights whose labels had matured before the first night of `late` began. What transforms learn for these
    two they learn of `early` alone.
    """

    whole: TrainingSet
    early: TrainingSet | None = None
    late: TrainingSet | None = None


@dataclass(frozen=True)
class TrainedMember:
    """One member's training: the canonical text, what it knows of the model's features, and the nights that it saw."""

    name: str
    weight: int
    text: str
    features: tuple[str, ...]
    first_night: str
    nights: int
    rows: int


@dataclass(frozen=True)
class FittedCalibration:
    """A calibration, and the late nights by which it was fitted: scored by a model of the early ones."""

    fitted: Calibration
    first_night: str
    last_night: str
    rows: int

    def to_json(self) -> dict[str, object]:
        """As plain data."""
        return {**asdict(self), "fitted": self.fitted.to_json()}


@dataclass(frozen=True)
class TrainedModel:
    """One training result: the members, what they were trained on, and how well their kind did on unseen nights."""

    members: tuple[TrainedMember, ...]
    """In the order in which their raw scores are added; one without a name is a single model."""
    features: tuple[str, ...]
    parameters: Parameters
    rows: int
    nights: int
    metrics: Metrics | None
    """Of the validation model, see `Metrics`; null where there are no nights to validate on."""
    calibration: FittedCalibration | None = None

    @property
    def text(self) -> str:
        """The text of a single model."""
        [one] = self.members
        return one.text

    @property
    def texts(self) -> tuple[str, ...]:
        """The text of each member."""
        return tuple(each.text for each in self.members)

    def scorer(self) -> Scorer:
        """The trained model, ready to score."""
        calibration = self.calibration.fitted if self.calibration else None
        return scorer_of(self.members, self.features, calibration)


@dataclass(frozen=True)
class Again:
    """What training again gives, to be compared with what was kept."""

    texts: tuple[str, ...]
    calibration: FittedCalibration | None


def scorer_of(
    members: Sequence[TrainedMember], features: tuple[str, ...], calibration: Calibration | None = None
) -> Scorer:
    """What was trained, ready to score the columns `features`; a member without a name is a single model."""
    if [each.name for each in members] == [SINGLE]:
        return Model.load(members[0].text, features, calibration)
    parts = [Part(each.name, each.weight, Model.load(each.text, each.features)) for each in members]
    return Ensemble.of(parts, features, calibration)


def train(learning: Learning, parameters: Parameters, threads: int) -> TrainedModel:
    """Validate on the late nights with a model of the early ones, then train on all with the same parameters.

    The number of threads changes nothing but the time it takes.

    Raises:
        FeaturesDiffer, NotExact, CodesRefused, LabelsRefused: see `models.matrix`.
        CalibrationFailed: see `models.calibration`.
    """
    rows = _rows(learning.whole, parameters)
    metrics, calibration = _measured(learning, parameters, threads)
    return TrainedModel(
        members=_fit(rows, parameters, threads),
        features=rows.features,
        parameters=parameters,
        rows=len(rows.label),
        nights=rows.night.n_unique(),
        metrics=metrics,
        calibration=calibration,
    )


def train_again(learning: Learning, parameters: Parameters, threads: int) -> Again:
    """Only what `train` gives that scores; early and late rows are needed for a calibration alone."""
    members = _fit(_rows(learning.whole, parameters), parameters, threads)
    calibration = _measured(learning, parameters, threads)[1] if parameters.calibration else None
    return Again(tuple(each.text for each in members), calibration)


@dataclass(frozen=True)
class _Rows:
    """What LightGBM learns from, and the night of each row."""

    features: tuple[str, ...]
    night: pl.Series
    matrix: Floats
    label: Floats

    def last(self, nights: int | None) -> "_Rows":
        """Those of the last so many nights; all of them if there are no more."""
        every = self.night.unique(maintain_order=True)
        if nights is None or nights >= len(every):
            return self
        which = slice(int((self.night < every[-nights]).sum()), None)
        return _Rows(self.features, self.night[which], self.matrix[which], self.label[which])

    def only(self, features: tuple[str, ...]) -> "_Rows":
        """With some of the features."""
        if features == self.features:
            return self
        places = [self.features.index(name) for name in features]
        return _Rows(features, self.night, np.ascontiguousarray(self.matrix[:, places]), self.label)


def _rows(training: TrainingSet, parameters: Parameters) -> _Rows:
    check_names(training.features, parameters.categorical, parameters.baseline)
    return _Rows(
        features=training.features,
        night=training.frame[training.order[0]],
        matrix=to_matrix(training.frame, training.features, parameters.categorical),
        label=to_label(training.frame[training.label], binary=parameters.binary),
    )


def _fit(rows: _Rows, parameters: Parameters, threads: int) -> tuple[TrainedMember, ...]:
    """One text a member, in the declared order; one in all for a single model."""
    return tuple(_fit_member(rows, parameters, each, threads) for each in parameters.members or (Member(SINGLE),))


def _fit_member(rows: _Rows, parameters: Parameters, member: Member, threads: int) -> TrainedMember:
    try:
        features = member.choose(rows.features)
    except LookupError as error:
        raise FeaturesDiffer(str(error.args[0])) from None
    own, told = rows.last(member.nights).only(features), parameters.alone(member)
    codes = tuple(name for name in told.categorical if name in features)
    check_learnable(own.label, told.objective)
    return TrainedMember(
        name=member.name,
        weight=member.weight,
        text=booster.fit(own.matrix, own.label, features, replace(told, categorical=codes), threads),
        features=features,
        first_night=str(own.night[0]),
        nights=own.night.n_unique(),
        rows=len(own.label),
    )


def _measured(
    learning: Learning, parameters: Parameters, threads: int
) -> tuple[Metrics | None, FittedCalibration | None]:
    """How good a model of the earlier nights is on the last ones, and what calibrates it there; if there are such."""
    if learning.early and learning.late:
        return _validate(learning.early, learning.late, parameters, threads)
    if parameters.calibration:
        raise TypeError("a calibration is fitted on late nights; the caller has to give them")
    return None, None


def _validate(
    earlier: TrainingSet, last: TrainingSet, parameters: Parameters, threads: int
) -> tuple[Metrics, FittedCalibration | None]:
    """Measure a model of the earlier nights on the last ones, and calibrate by them; the model is thrown away.

    What is measured is the score before calibration, which those nights would flatter.
    """
    early, late = _rows(earlier, parameters), _rows(last, parameters)
    if early.label.min() == early.label.max():
        raise LabelsRefused(f"all {len(early.label)} labels before {late.night[0]} are the same: nothing can be learnt")
    model = scorer_of(_fit(early, parameters, threads), early.features)
    raw = model.raw_of(late.matrix, threads)
    nights = str(late.night[0]), str(late.night[-1])
    score, naively = model.probability(raw), naive(last.frame, parameters.baseline)
    metrics = Metrics(
        first_night=nights[0],
        last_night=nights[1],
        nights=late.night.n_unique(),
        trained_rows=len(early.label),
        trained_nights=early.night.n_unique(),
        quality=measure(
            Sample(raw, score, late.label, binary=parameters.binary, baseline=naively), Constants.of(early.label)
        ),
    )
    if not parameters.calibration:
        return metrics, None
    return metrics, FittedCalibration(fit_calibration(parameters.calibration, raw, late.label), *nights, len(raw))


def naive(frame: pl.DataFrame, baseline: str) -> tuple[str, Floats] | None:
    """The naive score of rows as the model sees them: its name and values, NaN for null; null if none is declared."""
    return (baseline, as_floats(frame.get_column(baseline))) if baseline else None


def check_sorted(frame: pl.DataFrame, order: Sequence[str]) -> None:
    """Refuse rows that are not strictly ascending in `order`, text by its UTF-8 bytes.

    Raises:
        NotSorted: names the first row out of place, by its number.
    """
    nulls = [name for name in order if frame[name].null_count()]
    if nulls:
        raise NotSorted(f"`{nulls[0]}` is null in some rows; training rows are ordered by {', '.join(order)}")
    in_place = frame.select(_follows(order)).to_series()
    wrong = (~in_place).arg_true()
    if len(wrong):
        raise NotSorted(
            f"row {wrong[0] + 1} of {frame.height} does not come after the one before it in ({', '.join(order)}): "
            "sort the training set, and check that its key is unique"
        )


def _follows(order: Sequence[str]) -> pl.Expr:
    """True where a row comes strictly after the one before it, and for the first row."""
    after = pl.lit(value=False)
    for name in reversed(order):
        before = pl.col(name).shift(1)
        after = (pl.col(name) > before) | ((pl.col(name) == before) & after)
    return after.fill_null(value=True).alias("follows")
