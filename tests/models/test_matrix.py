import numpy as np
import polars as pl
import pytest

from models.matrix import FeaturesDiffer, LabelsRefused, NotExact, check_features, to_label, to_matrix


def test_one_row_a_row_one_column_a_feature_in_the_declared_order() -> None:
    """Whole numbers and booleans exactly; null and NaN are missing, 0 is not."""
    frame = pl.DataFrame(
        {
            "late": [True, None, False],
            "flown": [2**53, None, 0],
            "carrier": pl.Series([3, 0, None], dtype=pl.UInt8),
            "share": [None, float("nan"), 0.1],
            "single": pl.Series([0.1, None, -0.0], dtype=pl.Float32),
        }
    )
    nan = float("nan")

    found = to_matrix(frame, ("share", "carrier", "flown", "late", "single"), ("carrier",))

    expected = [[nan, 3.0, 2.0**53, 1.0, float(np.float32(0.1))], [nan, 0.0, nan, nan, nan], [0.1, nan, 0.0, 0.0, 0.0]]
    assert found.dtype == np.float64
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, expected)


def test_labels_are_exact_or_refused() -> None:
    assert to_label(pl.Series("late", [True, False]), binary=True).tolist() == [1.0, 0.0]
    assert to_label(pl.Series("minutes", [2**24, -(2**24)]), binary=False).tolist() == [2.0**24, -(2.0**24)]
    with pytest.raises(NotExact, match=r"`minutes` has integers beyond 2\^24"):
        to_label(pl.Series("minutes", [2**24 + 1]), binary=False)
    with pytest.raises(LabelsRefused, match="`late` is null in 1 rows; train on matured nights only"):
        to_label(pl.Series("late", [True, None]), binary=True)
    with pytest.raises(LabelsRefused, match="not finite"):
        to_label(pl.Series("minutes", [float("nan")]), binary=False)


def test_a_difference_of_features_names_all_of_it() -> None:
    with pytest.raises(FeaturesDiffer, match="missing `a`, `c`; extra `d`, `e`"):
        check_features(["b", "d", "e"], ("a", "b", "c"))
    with pytest.raises(FeaturesDiffer, match="another order from `b` on"):
        check_features(["a", "c", "b"], ("a", "b", "c"))
    with pytest.raises(FeaturesDiffer, match="a feature named twice"):
        check_features(["a", "b"], ("a", "b", "b"))
    check_features(["a", "b"], ("a", "b"))
