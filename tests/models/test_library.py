import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lightgbm
import numpy as np
import pytest

from models import library
from models.library import LibraryFailed, LibraryMissing, Loaded
from models.training import TrainedModel
from tests.models.columns import FEATURES

ROOT = Path(__file__).parents[2]
ROWS, COLUMNS = 400, 5


def matrix_of(seed: int) -> np.ndarray:
    """Numbers, codes, a column of few values, and all that is not finite."""
    draw = np.random.default_rng(seed)
    found = draw.normal(size=(ROWS, COLUMNS))
    found[:, 1] = draw.integers(0, 60, ROWS)
    found[:, 2] = draw.integers(0, 3, ROWS)
    found[draw.random((ROWS, COLUMNS)) < 0.1] = np.nan
    found[:8, 0] = (0.0, -0.0, 1e-36, -1e-36, 5e-324, np.inf, -np.inf, 1e308)
    return found


def fitted(**parameters: object) -> str:
    """A model of 12 trees over `matrix_of(0)`, as LightGBM writes it."""
    matrix = matrix_of(0)
    label = np.abs(np.nan_to_num(matrix[:, 3])) + np.nan_to_num(matrix[:, 1] % 7)
    told = {"verbosity": -1, "num_threads": 1, "min_data_in_leaf": 3, "deterministic": True, **parameters}
    if told.get("objective") == "binary":
        label = (label > label.mean()).astype(float)
    data = lightgbm.Dataset(np.nan_to_num(matrix, posinf=9, neginf=-9), label, categorical_feature=[1], params=told)
    return lightgbm.train(told, data, num_boost_round=12).model_to_string(num_iteration=-1)


@pytest.mark.parametrize(
    "parameters",
    [
        {"objective": "binary"},
        {"objective": "regression", "linear_tree": True},
        {"objective": "binary", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.7},
        {"objective": "binary", "boosting": "dart"},
        {"objective": "poisson", "zero_as_missing": True},
        {"objective": "regression_l1", "use_missing": False, "num_leaves": 200},
        {"objective": "binary", "min_data_in_leaf": 10_000},  # trees of one leaf
    ],
    ids=str,
)
def test_raw_scores_are_those_of_the_package_to_the_bit(parameters: Mapping[str, object]) -> None:
    text, matrix = fitted(**parameters), matrix_of(1)
    theirs = lightgbm.Booster(model_str=text).predict(matrix, raw_score=True, num_threads=1)

    for threads in (1, 2):
        assert Loaded(text).raw(matrix, threads).tobytes() == theirs.tobytes()


def test_categorical_features_are_those_that_the_package_reads(trained: TrainedModel) -> None:
    theirs = lightgbm.Booster(model_str=trained.text).params["categorical_feature"]

    assert list(Loaded(trained.text).categorical()) == theirs != []


def test_parameters_longer_than_the_room_for_them_are_read_whole(
    trained: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = Loaded(trained.text).categorical()
    monkeypatch.setattr(library, "_PARAMETERS_BYTES", 10)

    assert Loaded(trained.text).categorical() == expected


def test_threads_that_ask_one_model_at_once_get_the_same_bits() -> None:
    loaded, matrix = Loaded(fitted(objective="binary")), matrix_of(1)
    expected = loaded.raw(matrix, 1).tobytes()

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: loaded.raw(matrix, 1).tobytes(), range(40)))

    assert set(found) == {expected}


def test_no_row_has_no_score() -> None:
    assert Loaded(fitted(objective="binary")).raw(np.empty((0, COLUMNS)), 1).shape == (0,)


def test_rows_of_other_columns_are_refused_in_lightgbms_words() -> None:
    with pytest.raises(LibraryFailed, match="number of features"):
        Loaded(fitted(objective="binary")).raw(np.zeros((2, COLUMNS + 1)), 1)


def test_a_library_that_is_gone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    library._library.cache_clear()
    monkeypatch.setattr(library, "_FOLDERS", ("elsewhere",))

    with pytest.raises(LibraryMissing, match="lib_lightgbm"):
        library._library()


@pytest.mark.parametrize(
    "matrix", [np.zeros((COLUMNS, 9)).T, np.zeros((9, COLUMNS), np.float32), np.zeros(COLUMNS)], ids=str
)
def test_a_matrix_that_the_library_would_read_otherwise_is_refused(matrix: np.ndarray) -> None:
    with pytest.raises(ValueError, match="row by row"):
        Loaded(fitted(objective="binary")).raw(matrix, 1)


def test_a_model_is_freed_with_the_object_that_holds_it(trained: TrainedModel) -> None:
    """A thousand loads would leave some 70 MB behind."""
    Loaded(trained.text)
    before = resident_mb()
    for _ in range(1000):
        Loaded(trained.text)

    assert resident_mb() - before < 20


def resident_mb() -> float:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def test_scoring_prints_nothing_and_waits_for_no_package_that_only_training_needs(trained: TrainedModel) -> None:
    code = (
        "import sys, numpy as np; from models.scorer import Model\n"
        f"model = Model.load(sys.stdin.read(), {FEATURES!r}); model.raw_of(np.zeros((3, {len(FEATURES)})), 1)\n"
        "sys.exit(any(name in sys.modules for name in ('lightgbm', 'pandas', 'scipy', 'numba')))"
    )
    asked = subprocess.run(
        [sys.executable, "-c", code], input=trained.text, cwd=ROOT, check=False, capture_output=True, text=True
    )

    assert (asked.returncode, asked.stdout, asked.stderr) == (0, "", "")
