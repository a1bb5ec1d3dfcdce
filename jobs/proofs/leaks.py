"""The proof that what transforms learn does not leak: of labels that had not matured, of late nights, of row order.

It takes the rows that the model was trained on, changes what must not matter, and lets the transforms learn again.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from features.fitted import apply
from jobs.proofs.trial import DoesNotHold, require_same_frame
from jobs.steps.training import LABEL, fit_rows, learning
from models.parameters import Parameters
from models.training import held_out_from

if TYPE_CHECKING:
    from datetime import date

    from features.fitted import Fitted
    from jobs.proofs.trial import Trial
    from jobs.steps.training import TrainingRows
    from models.training import TrainingSet

_SHUFFLES = (1, 2)
_FAR = 1_000  # what is added to an amount


def fitting(trial: Trial) -> str:
    """What transforms learn does not depend on the order of rows, nor a training row on labels of its future."""
    rows = trial.training_rows
    if rows.of.last > trial.job.matured(trial.version.as_of):
        raise DoesNotHold(f"the nights up to {rows.of.last} had not matured before {trial.version.as_of}")
    _shuffled(trial, rows)
    said = [
        f"{rows.built.height:,} training rows in {len(_SHUFFLES)} other orders: the same state",
        _unmatured(trial, rows),
        _held_out(trial, rows),
    ]
    return f"{trial.fitted.in_words}; {'; '.join(said)}"


def _shuffled(trial: Trial, rows: TrainingRows) -> None:
    both = rows.built.with_columns(rows.label)
    for seed in _SHUFFLES:
        mixed = both.sample(fraction=1.0, shuffle=True, seed=seed)
        found = fit_rows(trial.job, mixed.drop(LABEL), mixed.get_column(LABEL), rows.fitted)
        _require_same_state(rows.fitted, found, "training rows in another order")


def _unmatured(trial: Trial, rows: TrainingRows) -> str:
    """Change the labels that had not matured before a night: the rows of that night must stay what they are."""
    if rows.fitted.matures_days is None:
        return "no transform learns of labels"
    days, nights = trial.job.horizon_days + trial.job.label_delay_days, _nights(rows)
    chosen = (nights[0], nights[len(nights) // 2], nights[-1])
    for night in chosen:
        of_night = rows.built.filter(pl.col("as_of") == night)
        unknown = rows.built.get_column("as_of") > night - timedelta(days=days)
        changed = fit_rows(trial.job, rows.built, _others(rows.label, unknown), rows.fitted)
        what = f"training rows of {night}, and labels that had not matured before it changed"
        require_same_frame(apply(of_night, rows.fitted), apply(of_night, changed), what)
    return f"labels that had not matured before {', '.join(map(str, chosen))} changed: same rows of these nights"


def _held_out(trial: Trial, rows: TrainingRows) -> str:
    """Change the late nights that a model is measured on: what it learns of the early ones must stay what it is."""
    last_nights = Parameters.from_json(trial.version.parameters).validation_nights
    first = held_out_from(_nights(rows), last_nights)
    late = rows.built.get_column("as_of") >= first
    flipped = _again(trial, replace(rows, label=_others(rows.label, late)))
    features = [name for name in rows.built.columns if name not in {"as_of", *trial.job.key}]
    nothing = rows.built.with_columns(pl.when(~late).then(pl.col(name)).alias(name) for name in features)
    before, of_flipped = _parts(trial, rows, last_nights), _parts(trial, flipped, last_nights)
    of_emptied = _parts(trial, _again(trial, replace(flipped, built=nothing)), last_nights)
    require_same_frame(_seen(before[1]), _seen(of_flipped[1]), f"labels from {first} on changed, rows of these nights")
    for parts, what in ((of_flipped, "labels"), (of_emptied, "labels and features")):
        what_changed = f"{what} from {first} on changed, rows to measure a model of the nights before"
        require_same_frame(before[0].frame, parts[0].frame, what_changed)
    return f"all from {first} on changed: same rows to measure a model of the nights before"


def _nights(rows: TrainingRows) -> list[date]:
    return rows.built.get_column("as_of").unique().sort().to_list()


def _again(trial: Trial, rows: TrainingRows) -> TrainingRows:
    """The same rows, with what transforms learn of all of them."""
    return replace(rows, fitted=fit_rows(trial.job, rows.built, rows.label, rows.fitted))


def _parts(trial: Trial, rows: TrainingRows, last_nights: int) -> tuple[TrainingSet, TrainingSet]:
    parts = learning(trial.job, rows, last_nights)
    if parts.early is None or parts.late is None:
        raise DoesNotHold("no nights are held out to measure a model on")
    return parts.early, parts.late


def _seen(part: TrainingSet) -> pl.DataFrame:
    """The rows as a model sees them."""
    return part.frame.drop(part.label)


def _others(label: pl.Series, where: pl.Series) -> pl.Series:
    """Another label where it says so: the other one of 0 and 1, or an amount far from what it was."""
    other = 1 - label if label.is_in([0, 1]).all() else label + _FAR
    return other.zip_with(where, label)


def _require_same_state(expected: Fitted, found: Fitted, what: str) -> None:
    if found.to_json() == expected.to_json():
        return
    pairs = zip(expected.states, found.states, strict=True)
    others = [one.transform for one, other in pairs if repr(one) != repr(other)]
    named = "; ".join(f"{each.kind} of {', '.join(each.columns)}" for each in others)
    raise DoesNotHold(f"{what}: {named or 'the transforms'} learnt something else")
