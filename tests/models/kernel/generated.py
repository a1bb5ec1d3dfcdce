"""Generated LightGBM models of every kind, and the values that are hardest on them."""

import os
from collections.abc import Mapping, Sequence

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before LightGBM is imported

import lightgbm
import numpy as np
import numpy.typing as npt

from models.kernel.plan import Plan, plan_of
from models.kernel.scoring import score
from models.kernel.trees import read_forest

type Floats = npt.NDArray[np.float64]

KINDS: Mapping[str, Mapping[str, object]] = {
    "binary": {"objective": "binary"},
    "regression": {"objective": "regression"},
    "l1": {"objective": "regression_l1"},
    "poisson": {"objective": "poisson"},
    "quantile": {"objective": "quantile", "alpha": 0.8},
    "multiclass": {"objective": "multiclass", "num_class": 3},
    "rf": {"objective": "binary", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6},
    "multiclass_rf": {
        "objective": "multiclass",
        "num_class": 4,
        "boosting": "rf",
        "bagging_freq": 1,
        "bagging_fraction": 0.5,
    },
    "dart": {"objective": "binary", "boosting": "dart", "drop_rate": 0.5},
    "extra_trees": {"objective": "regression", "extra_trees": True},
    "bagging": {"objective": "binary", "bagging_freq": 1, "bagging_fraction": 0.5, "feature_fraction": 0.5},
    "goss": {"objective": "binary", "data_sample_strategy": "goss"},
    "monotone": {"objective": "regression", "monotone_constraints": [1, -1]},
}
MISSING: Mapping[str, Mapping[str, object]] = {
    "nan": {},
    "zero": {"zero_as_missing": True},
    "none": {"use_missing": False},
}
_HARD = (0.0, -0.0, 5e-324, -5e-324, 2.3e-308, 1e-35, -1e-35, 1e-36, 9.9e-36, 1.1e-35, 1e300, -1e300, 1.7e308)
_ENDS = (np.inf, -np.inf, np.nan)
_ZERO = float(np.float32(1e-35))


def features(draw: np.random.Generator, rows: int, categories: int) -> tuple[Floats, list[int]]:
    """Columns as jobs have them, and worse: counts, flags, tiny, huge, constant, with gaps; the last are codes."""
    columns = [
        draw.normal(size=rows),
        draw.integers(-3, 40, rows).astype(float),
        draw.integers(0, 2, rows).astype(float),
        draw.normal(size=rows) * 1e-34,
        draw.normal(size=rows) * 1e300,
        np.round(draw.exponential(size=rows), 1),
        np.full(rows, 7.0),
        draw.choice([0.0, 1.0, 5.0, np.nan], rows),
    ]
    for column in columns[::2]:
        column[draw.random(rows) < 0.15] = np.nan
    codes = [draw.integers(0, max(categories, 2), rows).astype(float) for _ in range(2)]
    codes[0][draw.random(rows) < 0.1] = np.nan
    matrix = np.column_stack(columns + (codes if categories else []))
    return matrix, list(range(len(columns), matrix.shape[1]))


def train(
    draw: np.random.Generator,
    told: Mapping[str, object],
    leaves: int = 31,
    rounds: int = 8,
    rows: int = 1500,
    categories: int = 0,
) -> str:
    """The text of a model of such features."""
    matrix, codes = features(draw, rows, categories)
    filled = np.nan_to_num(matrix)
    signal = filled[:, 0] + np.sin(filled[:, 1]) + np.sign(filled[:, 4]) * (filled[:, 7] > 2)
    for code in codes:
        signal += (filled[:, code] * 7919 % 13) / 6
    signal += draw.normal(size=rows) / 4
    classes = int(str(told.get("num_class", 2)))
    label = np.abs(signal)
    if told["objective"] in ("binary", "multiclass"):
        label = np.searchsorted(np.quantile(signal, np.arange(1, classes) / classes), signal).astype(float)
    fixed = {"verbosity": -1, "num_threads": 1, "num_leaves": leaves, "min_data_in_leaf": 2, "min_data_in_bin": 1}
    many = {"max_cat_to_onehot": 2, "min_data_per_group": 2, "cat_smooth": 1, "force_row_wise": True, "seed": 3}
    constraints = told.get("monotone_constraints")
    if isinstance(constraints, list):
        told = {**told, "monotone_constraints": constraints + [0] * (matrix.shape[1] - len(constraints))}
    both = {**many, **fixed, **told}
    data = lightgbm.Dataset(matrix, label, categorical_feature=codes, params=both)
    return str(lightgbm.train(both, data, rounds).model_to_string(num_iteration=-1))


def stumps(thresholds: Sequence[float], decision: int) -> str:
    """The text of a model with one feature and one tree of two leaves a threshold."""
    head = ["tree", "version=v4", "num_class=1", "num_tree_per_iteration=1", "label_index=0", "max_feature_idx=0"]
    head += ["objective=regression", "feature_names=f", "feature_infos=[-1:1]"]
    trees = [
        f"Tree={place}\nnum_leaves=2\nnum_cat=0\nsplit_feature=0\nsplit_gain=1\nthreshold={threshold!r}\n"
        f"decision_type={decision}\nleft_child=-1\nright_child=-2\nleaf_value={0.1 * place!r} {-0.3 * place!r}\n"
        "leaf_weight=1 1\nleaf_count=1 1\ninternal_value=0\ninternal_weight=1\ninternal_count=2\nis_linear=0\n"
        "shrinkage=1\n"
        for place, threshold in enumerate(map(float, thresholds))
    ]
    return "\n".join([*head, "", *trees, "end of trees", "", "parameters:", "end of parameters", ""])


def plan(text: str) -> Plan:
    """The plan of a model text that the kernel takes."""
    forest = read_forest(text)
    assert not isinstance(forest, str), forest
    found = plan_of(forest)
    assert not isinstance(found, str), found
    return found


def hard_values(draw: np.random.Generator, text: str, rows: int) -> Floats:
    """Rows of values beside which a comparison may go wrong: thresholds, their neighbours, zeros, ends, odd codes."""
    forest = read_forest(text)
    assert not isinstance(forest, str), forest
    choices: list[set[float]] = [set() for _ in range(forest.features)]
    for tree in forest.trees:
        for feature, threshold, decision in zip(tree.feature, tree.threshold, tree.decision, strict=True):
            if decision & 1:
                end = 32 * len(tree.sets[int(threshold)])
                choices[feature] |= {-1.0, -0.5, 0.5, end - 1.0, float(end), end + 0.5, 2.0**31 - 1, 2.0**31, 1e300}
                choices[feature] |= set(draw.integers(0, end, 4).astype(float))
            else:
                near = (np.nextafter(threshold, -np.inf), threshold, np.nextafter(threshold, np.inf))
                choices[feature] |= {float(one) for one in near}
    zeros = (_ZERO, np.nextafter(_ZERO, 0), np.nextafter(_ZERO, 1), -_ZERO, np.nextafter(-_ZERO, -1))
    columns = [draw.choice(np.array([*sorted(of_feature), *_HARD, *_ENDS, *zeros]), rows) for of_feature in choices]
    return np.column_stack(columns)


def by_kernel(of: Plan, matrix: Floats, threads: int = 1, most_rows: int = 65_536) -> Floats:
    """What the kernel gives, in the shape of `predict`."""
    columns = [np.ascontiguousarray(column) for column in matrix.T]
    found = score(of, lambda feature, start, stop: columns[feature][start:stop], len(matrix), threads, most_rows)
    return np.ascontiguousarray(found.T) if of.classes > 1 else found[0]


def by_lightgbm(text: str, matrix: Floats) -> Floats:
    """What `predict` gives."""
    found: Floats = lightgbm.Booster(model_str=text).predict(matrix, raw_score=True, num_iteration=-1, num_threads=1)
    return found


def any_model(seed: int) -> tuple[str, str]:
    """A model of a kind that the seed draws, and what it is."""
    draw = np.random.default_rng(seed)
    kind, missing = draw.choice(sorted(KINDS)), draw.choice(sorted(MISSING))
    leaves = int(draw.choice([2, 3, 5, 17, 31, 32, 33, 63, 64, 65, 127, 255, 256, 257, 300]))
    categories = int(draw.choice([0, 2, 16, 40, 300, 3000]))
    rows, rounds = int(draw.integers(40, 3000)), int(draw.integers(1, 12))
    bins = int(draw.choice([2, 15, 255, 255, 256, 300, 1023]))
    told = {**KINDS[kind], **MISSING[missing], "max_bin": bins, "max_depth": int(draw.choice([-1, -1, 2, 6]))}
    text = train(draw, told, leaves, rounds, rows, categories)
    said = f"{kind}, {missing} missing, {leaves} leaves, {rounds} rounds, {rows} rows, {categories} codes, {bins} bins"
    return text, said
