"""How good a model is, in words."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import numpy as np

from jobs.steps.qualities import quality_lines, short_quality
from models.evaluation import Constants, Sample, measure

if TYPE_CHECKING:
    import pytest

CONSTANTS = Constants(0.25, 0.0)
SAMPLE = Sample(
    np.array([-1.0, 0.0, 1.0]), np.array([0.25, 0.5, 0.75]), np.array([0.0, 0.0, 1.0]), binary=True,
    baseline=("last_week", np.array([0.0, 1.0, 1.0])),
)  # fmt: skip


def said(sample: Sample, capsys: pytest.CaptureFixture[str]) -> list[str]:
    quality_lines(asdict(measure(sample, CONSTANTS)), "on three rows")
    return capsys.readouterr().out.splitlines()


def test_probabilities_stand_beside_the_base_rate_and_the_naive_score(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(SAMPLE, capsys)

    assert lines[0].startswith(
        "AUC 1.0000, log loss 0.4228 (base rate: 0.6539), Brier 0.1250 (base rate: 0.2292) on three"
    )
    assert lines[1] == "naive (last_week): AUC 0.7500, log loss 11.5132, Brier 0.3333"
    assert lines[2].split() == ["decile", "rows", "mean", "score", "observed"]
    assert short_quality(asdict(measure(SAMPLE, CONSTANTS))) == "AUC 1.0000 (naive 0.7500)"


def test_amounts_stand_beside_the_constants_and_the_naive_score(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(replace(SAMPLE, binary=False), capsys)

    assert lines[0].startswith("RMSE 0.3536 (constant: 0.4787), MAE 0.3333 (constant: 0.3333), R2 0.4545, mean error")
    assert "rank correlation 0.8660, highest tenth had 100.0% of all on three rows" in lines[0]
    assert lines[1].endswith("the model spares 62.5% of its squared error")
    assert lines[2].split() == ["tenth", "rows", "mean", "score", "observed"]
    assert short_quality(asdict(measure(replace(SAMPLE, binary=False), CONSTANTS))) == "RMSE 0.3536 (naive 0.5774)"


def test_a_model_that_is_no_better_than_the_naive_score_is_called_so(capsys: pytest.CaptureFixture[str]) -> None:
    right = replace(SAMPLE, binary=False, baseline=("oracle", np.array([0.0, 0.0, 0.9])))

    assert said(right, capsys)[1].endswith("THE MODEL IS NO BETTER")


def test_without_a_naive_score_nothing_is_said_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    """Of one class there is no AUC, and nothing to compare versions by."""
    lone = replace(SAMPLE, baseline=None, label=np.zeros(3))

    assert said(lone, capsys)[0].startswith("no AUC (one class only)")
    assert short_quality(asdict(measure(lone, CONSTANTS))) is None
    assert short_quality({}.get("quality")) is None
    assert short_quality(asdict(measure(replace(SAMPLE, baseline=None), CONSTANTS))) == "AUC 1.0000"
