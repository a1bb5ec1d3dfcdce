"""Rare labels and codes."""

from __future__ import annotations

import polars as pl
import pytest

from features.fitted import Codes, NothingToLearn, RareLabels, apply, unseen
from tests.features.fitted.made import applied, fitted_on, made


def labels_of(frame: pl.DataFrame, transform: RareLabels, to: pl.DataFrame) -> list[str | None]:
    """The labels that a grouping leaves, before they become codes."""
    state = fitted_on(frame, transform).states[0]
    [column] = state.transform.applied("maker", state.learnt[0], to)
    return to.select(column)["maker"].to_list()


def test_a_label_of_exactly_the_share_is_kept_and_one_row_less_is_rare() -> None:
    """Compared in integers: 3 of 30 is a tenth, which the float 0.1 is not; rows without a label do not count."""
    frame = made(maker=["a"] * 25 + ["b"] * 3 + ["c"] * 2 + [None] * 100)
    to = made(maker=["a", "b", "c", "new", None])

    assert labels_of(frame, RareLabels(("maker",), "0.1"), to) == ["a", "b", "(rare)", "(rare)", None]
    assert labels_of(frame, RareLabels(("maker",), "0.10000000000000001"), to) == ["a", *["(rare)"] * 3, None]
    assert labels_of(frame, RareLabels(("maker",), "1/15", "few"), to) == ["a", "b", "c", "few", None]


def test_rare_labels_have_a_code_of_their_own_which_unseen_ones_share() -> None:
    """They are counted as unseen all the same, and rare ones are not."""
    frame = made(maker=["a"] * 8 + ["b", "c"])
    fitted = fitted_on(frame, RareLabels(("maker",), "0.2"))
    night = made(maker=["a", "b", "c", "new", None])

    assert apply(night, fitted)["maker"].to_list() == [1, 0, 0, 0, None]
    assert unseen(night, fitted) == {"maker": 1}


def test_where_no_label_was_rare_an_unseen_one_has_no_code() -> None:
    fitted = fitted_on(made(maker=["a", "b"]), RareLabels(("maker",), "0.2"))

    assert apply(made(maker=["a", "new"]), fitted)["maker"].to_list() == [0, None]


def test_labels_that_are_called_as_rare_ones_would_be_are_refused() -> None:
    with pytest.raises(NothingToLearn, match=r"`maker` has the label '\(rare\)'; give rare ones another name"):
        fitted_on(made(maker=["a", "(rare)"]), RareLabels(("maker",), "0.2"))
    with pytest.raises(NothingToLearn, match="`maker` is null in all 1 training rows, so rare labels learns nothing"):
        fitted_on(made(maker=pl.Series([None], dtype=pl.String)), RareLabels(("maker",), "0.2"))


@pytest.mark.parametrize(("unseen_is", "codes"), [("null", [0, None, None]), ("own", [0, None, 2])])
def test_an_unseen_label_is_null_or_has_its_own_code(unseen_is: str, codes: list[int | None]) -> None:
    frame, night = made(maker=["a", "b", None]), made(maker=["a", None, "new"])

    assert applied(frame, Codes(("maker",), unseen_is), to=night)["maker"].to_list() == codes


def test_a_column_may_refuse_every_unseen_label() -> None:
    """It says so; the night's gate counts and refuses."""
    frame = made(maker=["a"], model=["x"])
    fitted = fitted_on(frame, Codes(("maker",), "refuse"))

    assert fitted.refusing == {"maker"}
    assert unseen(made(maker=["a", "new"], model=["y", "z"]), fitted) == {"maker": 1, "model": 2}
