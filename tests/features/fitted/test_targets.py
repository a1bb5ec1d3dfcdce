"""Target encoding out of fold by time, against a count by hand and by brute force."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.fitted import Fitted, NothingToLearn, TargetEncoding, TransformRefused, apply
from tests.features.fitted.made import FIRST, fitted_on, made

MAKERS = ["a", "b", "a", None, "a", "b"]
LABELS = [1, 0, 0, 1, 1, 1]
FRAME = made(nights=[0, 0, 1, 1, 2, 4], maker=MAKERS)
ENCODED = TargetEncoding(("maker",), weight=2, suffix="")


def encoded(fitted: Fitted, night: int, *makers: str | None) -> list[float | None]:
    """The means of some labels as of a night."""
    asked = made(nights=[night] * len(makers), maker=pl.Series(makers, dtype=pl.String))
    return apply(asked, fitted)["maker"].to_list()


def test_a_night_sees_the_labels_that_had_matured_before_it() -> None:
    """Two days after its as-of a night has matured: on night 2 the first counts, on night 6 all do."""
    fitted = fitted_on(FRAME, ENCODED, labels=LABELS, days=2)

    [(_, _, of_each)] = fitted.states[0].learnt
    assert [maker for maker, _ in of_each] == ["a", "b"]
    assert encoded(fitted, 1, "a", "b", "new", None) == [None] * 4
    assert encoded(fitted, 2, "a", "b", "new", None) == [(1 + 1) / 3, (0 + 1) / 3, 0.5, 0.5]
    assert encoded(fitted, 3, "a", "b", "new", None) == [(1 + 1) / 4, 1 / 3, 0.5, 0.5]
    assert encoded(fitted, 5, "a") == [16 / 25]
    assert encoded(fitted, 6, "b", None) == [7 / 12, 4 / 6]
    assert encoded(fitted, 400, "b") == encoded(fitted, 6, "b")


def test_training_rows_and_scored_rows_are_encoded_by_the_same_state() -> None:
    fitted = fitted_on(FRAME, ENCODED, labels=LABELS, days=2)

    assert apply(FRAME, fitted)["maker"].to_list() == [None, None, None, None, 2 / 3, 2 / 5]


ROWS = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from(["a", "b", "ü", None]), st.integers(-500, 500)),
    min_size=1,
    max_size=40,
)


@given(ROWS, st.integers(0, 12), st.integers(1, 5), st.integers(1, 300))
def test_it_is_what_brute_force_gives_rounded_once(rows: list[tuple], asked: int, days: int, weight: int) -> None:
    """In fractions: of the rows that had matured, whatever their order."""
    nights, makers, labels = (list(column) for column in zip(*rows, strict=True))
    frame = made(nights=nights, maker=pl.Series(makers, dtype=pl.String))
    fitted = fitted_on(frame, TargetEncoding(("maker",), weight, suffix=""), labels=labels, days=days)

    matured = [(maker, label) for night, maker, label in rows if night + days <= asked]
    for maker in ("a", "b", "ü", None, "new"):
        own = [label for of, label in matured if of == maker and of is not None]
        if matured:
            prior = Fraction(sum(label for _, label in matured), len(matured))
            expected = float((sum(own) + weight * prior) / (len(own) + weight))
        assert encoded(fitted, asked, maker) == [expected if matured else None]


@given(ROWS, st.data())
def test_labels_that_matured_later_change_nothing_of_a_night(rows: list[tuple], data: st.DataObject) -> None:
    """Whatever they are: nor do the rows of such a night."""
    nights, makers, labels = (list(column) for column in zip(*rows, strict=True))
    asked = data.draw(st.integers(0, 12))
    others = [
        label if night + 2 <= asked else data.draw(st.integers(-500, 500))
        for night, label in zip(nights, labels, strict=True)
    ]
    frame = made(nights=nights, maker=pl.Series(makers, dtype=pl.String))
    one, other = (fitted_on(frame, ENCODED, labels=each, days=2) for each in (labels, others))

    assert encoded(one, asked, "a", "b", "ü", None) == encoded(other, asked, "a", "b", "ü", None)


def test_nights_may_be_summed_in_folds_of_which_only_whole_ones_count() -> None:
    """Folds of two nights, 0 and 1, 2 and 3, 4; the last one ends with the last night."""
    folded = fitted_on(FRAME, TargetEncoding(("maker",), 2, "", fold_days=2), labels=LABELS, days=2)
    daily = fitted_on(FRAME, ENCODED, labels=LABELS, days=2)

    assert encoded(folded, 2, "a") == [None]
    assert encoded(folded, 3, "a") == encoded(daily, 3, "a")
    assert encoded(folded, 4, "a") == encoded(daily, 3, "a") != encoded(daily, 4, "a")
    assert encoded(folded, 6, "a") == encoded(daily, 6, "a")
    [(_, (nights, _, _), _)] = folded.states[0].learnt
    assert nights == (FIRST + timedelta(days=1), FIRST + timedelta(days=3), FIRST + timedelta(days=4))


def test_integers_truth_values_and_days_are_labels_too() -> None:
    frame = made(nights=[0, 0, 1], seats=[100, 200, 100], is_jet=[True, False, None], built_on=[FIRST, FIRST, None])
    fitted = fitted_on(frame, TargetEncoding(("seats", "is_jet", "built_on"), weight=1), labels=[1, 0, 1], days=1)
    found = apply(made(nights=[9], seats=[100], is_jet=[False], built_on=[FIRST]), fitted)

    assert found.columns[-3:] == ["seats_target", "is_jet_target", "built_on_target"]
    assert found.row(0)[-3:] == (8 / 9, 1 / 3, 5 / 9)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([], "target encoding learns of labels, and there are none"),
        ([0.5] * 6, "adds labels up, which must be whole: `label` is float64; scale it to integers in `labels`"),
    ],
)
def test_labels_that_cannot_be_summed_exactly_are_refused(labels: list[float], said: str) -> None:
    with pytest.raises(TransformRefused, match=said):
        fitted_on(FRAME, ENCODED, labels=labels)


def test_labels_whose_products_float64_would_round_are_refused() -> None:
    """(6 rows + 2) * (sum + 6) is the largest number that is divided; 2^53 is the last exact one."""
    most = 2**53 // 8 - 6

    assert fitted_on(FRAME, ENCODED, labels=[most, 0, 0, 0, 0, 0])
    with pytest.raises(NothingToLearn, match="too much for exact sums; bring labels to a coarser unit"):
        fitted_on(FRAME, ENCODED, labels=[most, -1, 0, 0, 0, 0])


def test_before_any_night_has_matured_a_mean_is_not_known() -> None:
    assert encoded(fitted_on(FRAME, ENCODED, labels=LABELS), 0, "a") == [None]
