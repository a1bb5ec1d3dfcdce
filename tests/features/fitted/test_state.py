"""What transforms learnt: applied in order, kept as JSON, and refused where it does not belong."""

from __future__ import annotations

import json
from datetime import date

import polars as pl
import pytest

from features.contract import Feature, FeatureSet
from features.fitted import (
    Codes,
    ConstantImputation,
    Fitted,
    FittedRefused,
    MedianImputation,
    MissingIndicator,
    QuantileBins,
    RandomSampleImputation,
    RareLabels,
    State,
    TargetEncoding,
    TransformRefused,
    Winsorising,
    apply,
    declared,
    fit,
    unseen,
)
from tests.features.fitted.made import KEY, fitted_on, made, set_of

SET = FeatureSet("late", 1, (Feature("minute", pl.Int32(), "minute"), Feature("carrier_code", pl.String(), "carrier")))


def _frame(*carriers: str | None) -> pl.DataFrame:
    return pl.DataFrame({"minute": range(len(carriers)), "carrier_code": pl.Series(carriers, dtype=pl.String)})


def test_text_that_no_transform_replaces_becomes_codes() -> None:
    """A code is the place among the labels ordered by their bytes: capital letters first, `é` after all of ASCII."""
    fitted = fit(_frame("b", "é", None, "B", "b", "z"), SET)

    assert fitted.labels == {"carrier_code": ("B", "b", "z", "é")}
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
    assert unseen(_frame("a", None), fitted) == {"carrier_code": 1}


EVERY = (
    MissingIndicator(("wind", "built_on")),
    MedianImputation(("wind",)),
    ConstantImputation(("built_on",), date(1990, 1, 1)),
    ConstantImputation(("share",), -0.0),
    RandomSampleImputation(("seats", "maker"), seed=7),
    RareLabels(("maker",), "0.3"),
    Winsorising(("share",), "0.1", "0.9"),
    QuantileBins(("seats",), bins=3, suffix="_bin"),
    TargetEncoding(("maker", "is_jet"), weight=2),
    Codes(("maker",), unseen="own"),
)
FRAME = made(
    nights=[0, 0, 1, 3, 4, 5],
    wind=[3, None, 5, 9, 11, None],
    built_on=[date(1999, 1, 1), None, date(2001, 5, 5), None, None, None],
    share=[0.1 + 0.2, None, 1e-300, 2**53 + 2.0, -0.0, 0.1],
    seats=pl.Series([100, None, 200, None, 300, 50], dtype=pl.Int32),
    maker=['"', "é", None, '"', "😀\n", '"'],
    is_jet=[True, False, None, True, True, True],
)
LABELS = (0, 1, 1, 0, 1, 1)


def test_the_state_comes_back_from_json_as_it_was_to_the_bit() -> None:
    """Of every kind of transform; quotes, line ends, letters beyond ASCII, days, floats at their limits, minus zero."""
    fitted = fitted_on(FRAME, *EVERY, labels=LABELS)
    text = fitted.to_json()
    back = Fitted.from_json(text)

    assert (back, back.to_json()) == (fitted, text)
    assert back.transforms == EVERY
    assert repr(back) == repr(fitted)
    assert apply(FRAME, back).equals(apply(FRAME, fitted))
    assert back.matures_days == 2
    assert {state["kind"] for state in json.loads(text)["transforms"]} == {each.kind for each in EVERY}


def test_what_the_columns_become_is_what_apply_gives() -> None:
    """Replaced ones at their place, added ones at the end; the name and version of the feature set stay."""
    fitted = fitted_on(FRAME, *EVERY, labels=LABELS)
    columns = fitted.columns(set_of(FRAME))

    assert columns.conform(apply(FRAME, fitted), KEY).height == FRAME.height
    assert columns.names == (
        *("wind", "built_on", "share", "seats", "maker", "is_jet"),
        *("wind_missing", "built_on_missing", "seats_bin", "maker_target", "is_jet_target"),
    )
    assert (columns.name, columns.version) == ("made", 1)


def test_codes_alone_are_kept_as_before_there_were_other_transforms() -> None:
    """Versions of every release keep their names and digests, and retraining gives the same text."""
    text = '{"labels": [["carrier_code", ["\\"", "\\n", "é", "😀"]], ["empty", []]]}'
    fitted = Fitted((State(Codes(("carrier_code", "empty")), ("text", "text"), (('"', "\n", "é", "😀"), ())),))

    assert Fitted.from_json(text) == fitted
    assert fitted.to_json() == text
    assert Fitted.from_json('{"labels": []}') == Fitted(())
    assert Fitted(()).to_json() == '{"labels": []}'
    assert fit(_frame("b", "a"), SET).to_json() == '{"labels": [["carrier_code", ["a", "b"]]]}'


OTHERS = ("", "[]", "{}", "1", '"labels"', '{"labels": 1}', '{"labels": [["a"]]}', '{"labels": [["a", 1]]}')
TEXT = fitted_on(FRAME, MedianImputation(("wind",)), labels=LABELS).to_json()
CHANGED = (
    TEXT.replace("median imputation", "mean imputation"),
    TEXT.replace('"learnt":[5]', '"learnt":[5,6]'),
    TEXT.replace('"learnt":[5]', '"learnt":[{}]'),
    TEXT.replace('"learnt":[5]', '"learnt": [5]'),
    TEXT.replace('"parameters":{}', '"parameters":{"seed":1}'),
    TEXT.replace('"columns":["wind"]', '"columns":[]'),
    TEXT.replace('"types":["int64"],', ""),
)


@pytest.mark.parametrize("text", [*OTHERS, *CHANGED])
def test_text_that_is_no_state_is_refused(text: str) -> None:
    assert text != TEXT
    with pytest.raises(FittedRefused, match="train again"):
        Fitted.from_json(text)


def test_a_frame_without_a_column_or_with_another_type_is_refused() -> None:
    fitted = fit(_frame("a"), SET)

    for frame in (_frame("a").drop("carrier_code"), pl.DataFrame({"carrier_code": [1]})):
        with pytest.raises(FittedRefused, match="expects text in carrier_code"):
            apply(frame, fitted)
        with pytest.raises(FittedRefused, match="expects text in carrier_code"):
            unseen(frame, fitted)
    numbers = fitted_on(FRAME, MedianImputation(("wind", "seats")), labels=LABELS)
    with pytest.raises(FittedRefused, match="expects int64 in wind and int32 in seats; build the frame"):
        apply(FRAME.with_columns(pl.col("wind", "seats").cast(pl.Float64)), numbers)


@pytest.mark.parametrize(
    ("transforms", "said"),
    [
        ((MedianImputation(("speed",)),), "median imputation is declared for speed, which made has not"),
        (
            (MedianImputation(("maker",)),),
            "median imputation is for float64, int16, int32, int64, int8, and `maker` is",
        ),
        ((Codes(("wind",)),), "codes is for text, and `wind` is int64"),
        ((RareLabels(("seats",), "0.1"),), "rare labels is for text, and `seats` is int32"),
        ((TargetEncoding(("share",)),), "target encoding is for .* and `share` is float64"),
        ((Winsorising(("built_on",)),), "winsorising is for .* and `built_on` is date"),
        ((QuantileBins(("is_jet",)),), "quantile bins is for .* and `is_jet` is bool"),
        ((MedianImputation(("wind",)), MedianImputation(("seats", "wind"))), "is declared for wind twice; keep one"),
        (
            (MissingIndicator(("wind",)), QuantileBins(("wind",), suffix="_missing")),
            "adds wind_missing, which is there",
        ),
        ((ConstantImputation(("wind",), 0.5),), "0.5 is no value of `wind`, which is int64"),
        ((ConstantImputation(("wind",), value=True),), "True is no value of `wind`"),
        ((ConstantImputation(("seats",), 2**31),), "2147483648 is no value of `seats`, which is int32"),
        ((ConstantImputation(("maker",), 0),), "0 is no value of `maker`, which is text"),
        ((ConstantImputation(("share",), float("nan")),), "nan is no value of `share`"),
        ((ConstantImputation(("share",), 0),), "0 is no value of `share`, which is float64"),
        ((ConstantImputation(("built_on",), "1990-01-01"),), "'1990-01-01' is no value of `built_on`"),
        ((ConstantImputation(("is_jet",), 1),), "1 is no value of `is_jet`"),
    ],
)
def test_a_transform_for_columns_that_it_cannot_change_is_refused(transforms: tuple, said: str) -> None:
    with pytest.raises(TransformRefused, match=said):
        declared(transforms, set_of(FRAME))


@pytest.mark.parametrize(("found", "kind"), [(MedianImputation(("wind",)), "MedianImputation"), (("wind",), "str")])
def test_what_is_no_tuple_of_transforms_is_refused(found: object, kind: str) -> None:
    """A comma is soon forgotten."""
    with pytest.raises(TransformRefused, match=f"is a tuple of transforms of features.fitted, and here is a {kind}"):
        declared(found, set_of(FRAME))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        (MedianImputation, {"columns": "wind"}, "is declared for 'wind'; give a tuple of column names"),
        (MedianImputation, {"columns": ()}, r"is declared for \(\); give a tuple"),
        (MissingIndicator, {"columns": ("wind", "wind")}, "is declared for wind twice"),
        (RareLabels, {"columns": ("maker",), "least_share": 0.1}, "as text such as '0.01', not 0.1"),
        (RareLabels, {"columns": ("maker",), "least_share": "1.1"}, "a share from 0 to 1"),
        (RareLabels, {"columns": ("maker",), "least_share": "few"}, "a share from 0 to 1"),
        (Codes, {"columns": ("maker",), "unseen": "guess"}, "`unseen` is null, own or refuse, not 'guess'"),
        (Winsorising, {"columns": ("wind",), "low": "0.9", "high": "0.1"}, "`low` is below `high`"),
        (Winsorising, {"columns": ("wind",), "low": 0}, "as text"),
        (QuantileBins, {"columns": ("wind",), "bins": 1}, "`bins` is a whole number from 2 to 1000, not 1"),
        (QuantileBins, {"columns": ("wind",), "bins": 2.0}, "not 2.0"),
        (TargetEncoding, {"columns": ("maker",), "weight": 0}, "`weight` is a whole number from 1, not 0"),
        (TargetEncoding, {"columns": ("maker",), "fold_days": 1.5}, "`fold_days` is a whole number from 1"),
        (RandomSampleImputation, {"columns": ("wind",), "seed": "7"}, "`seed` is a whole number, not '7'"),
        (RandomSampleImputation, {"columns": ("wind",), "seed": 7, "most_values": 0}, "`most_values` is a whole"),
    ],
)
def test_a_transform_that_is_declared_with_nonsense_is_refused(kind: type, given: dict, said: str) -> None:
    with pytest.raises(TransformRefused, match=said):
        kind(**given)
