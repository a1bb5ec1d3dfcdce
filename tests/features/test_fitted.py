"""What a transform learns, keeps, and repeats."""

from __future__ import annotations

import polars as pl
import pytest

from features.contract import Feature, FeatureSet
from features.fitted import Fitted, FittedRefused, apply, fit, unseen

SET = FeatureSet("late", 1, (Feature("minute", pl.Int32(), "minute"), Feature("carrier_code", pl.String(), "carrier")))


def _frame(*carriers: str | None) -> pl.DataFrame:
    return pl.DataFrame({"minute": range(len(carriers)), "carrier_code": pl.Series(carriers, dtype=pl.String)})


def test_a_code_is_the_place_among_the_labels_ordered_by_their_bytes() -> None:
    """Capital letters before small ones, `é` after all of ASCII; a null is no label and stays null."""
    fitted = fit(_frame("b", "é", None, "B", "b", "z"), SET)

    assert fitted.labels == (("carrier_code", ("B", "b", "z", "é")),)
    assert apply(_frame("é", "B", None), fitted)["carrier_code"].to_list() == [3, 0, None]


def test_codes_do_not_depend_on_the_order_of_the_training_rows() -> None:
    assert fit(_frame("b", "a", "c"), SET) == fit(_frame("c", "b", "a", "a"), SET)


def test_a_label_unseen_at_training_is_null_and_counted() -> None:
    fitted = fit(_frame("a", "b"), SET)
    frame = _frame("a", "new", None, "new")

    assert apply(frame, fitted)["carrier_code"].to_list() == [0, None, None, None]
    assert unseen(frame, fitted) == {"carrier_code": 2}


def test_the_columns_keep_their_order_and_codes_are_int32() -> None:
    frame = apply(_frame("a"), fit(_frame("a"), SET))

    assert frame.schema == {"minute": pl.Int64, "carrier_code": pl.Int32}


def test_a_training_without_any_label_leaves_every_one_unseen() -> None:
    fitted = fit(_frame(None), SET)

    assert apply(_frame("a"), fitted)["carrier_code"].to_list() == [None]


def test_the_state_comes_back_from_json_as_it_was() -> None:
    """Quotes, line ends and letters beyond ASCII included."""
    fitted = Fitted((("carrier_code", ('"', "\n", "é", "😀")), ("empty", ())))

    assert Fitted.from_json(fitted.to_json()) == fitted


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"labels": 1}', '{"labels": [["a"]]}', '{"labels": [["a", 1]]}'])
def test_text_that_is_no_state_is_refused(text: str) -> None:
    with pytest.raises(FittedRefused, match="train again"):
        Fitted.from_json(text)


def test_a_frame_without_the_text_column_or_with_another_type_is_refused() -> None:
    fitted = fit(_frame("a"), SET)

    for frame in (_frame("a").drop("carrier_code"), pl.DataFrame({"carrier_code": [1]})):
        with pytest.raises(FittedRefused, match="expects text in carrier_code"):
            apply(frame, fitted)
