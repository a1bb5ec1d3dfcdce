"""What of LightGBM may be tuned, within which bounds, and why some of it may not.

One entry an option, under LightGBM's own canonical name. What makes training repeatable is elsewhere
(`models.parameters.REPEATABLE`): nothing there can be tuned, and nothing here can make a result depend on the number
of threads.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

type Value = bool | int | float | str
type Check = Callable[[object], str | None]
"""Says what a value should have been, or None if it is allowed."""


def whole(low: int, high: int) -> Check:
    """Allow the whole numbers from `low` to `high`, both included."""

    def expected(value: object) -> str | None:
        allowed = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        return None if allowed else f"a whole number from {low} to {high}"

    return expected


def real(low: float, high: float) -> Check:
    """Allow the numbers from `low` to `high`, both included; never NaN or an infinity."""

    def expected(value: object) -> str | None:
        allowed = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
        return None if allowed else f"a number from {low:g} to {high:g}"

    return expected


def flag(value: object) -> str | None:
    """Allow true and false."""
    return None if isinstance(value, bool) else "true or false"


def one_of(*names: str) -> Check:
    """Allow one of `names`."""

    def expected(value: object) -> str | None:
        return None if value in names else "one of " + ", ".join(names)

    return expected


TUNABLES: Mapping[str, Check] = MappingProxyType(
    {
        "boosting": one_of("gbdt", "dart"),  # rf averages its trees, which `Model.probability` does not know
        "learning_rate": real(1e-6, 1.0),
        "num_leaves": whole(2, 131_072),
        "max_depth": whole(-1, 1_000),
        "min_data_in_leaf": whole(0, 1_000_000_000),
        "min_sum_hessian_in_leaf": real(0.0, 1e9),
        "min_gain_to_split": real(0.0, 1e9),
        "max_delta_step": real(0.0, 1e9),
        "path_smooth": real(0.0, 1e9),
        "lambda_l1": real(0.0, 1e9),
        "lambda_l2": real(0.0, 1e9),
        "extra_trees": flag,
        "feature_fraction": real(0.01, 1.0),
        "feature_fraction_bynode": real(0.01, 1.0),
        "bagging_fraction": real(0.01, 1.0),
        "bagging_freq": whole(0, 1_000_000),
        "scale_pos_weight": real(1e-6, 1e6),
        "max_bin": whole(2, 65_535),
        "min_data_in_bin": whole(1, 1_000_000_000),
        "cat_l2": real(0.0, 1e9),
        "cat_smooth": real(0.0, 1e9),
        "max_cat_threshold": whole(1, 1_000_000),
        "max_cat_to_onehot": whole(1, 1_000_000),
        "min_data_per_group": whole(1, 1_000_000_000),
        "drop_rate": real(0.0, 1.0),
        "skip_drop": real(0.0, 1.0),
        "max_drop": whole(-1, 1_000_000),
        "uniform_drop": flag,
        "xgboost_dart_mode": flag,
    }
)

_THREADS = "its trees depend on the number of threads"
_GPU = "a GPU gives other trees; training runs on the CPU"
_EARLY = "it changes the scores"

REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "data_sample_strategy": f"GOSS: {_THREADS}; use bagging_fraction and bagging_freq",
        "top_rate": f"GOSS: {_THREADS}; use bagging_fraction and bagging_freq",
        "other_rate": f"GOSS: {_THREADS}; use bagging_fraction and bagging_freq",
        "linear_tree": _THREADS,
        "linear_lambda": f"linear_tree: {_THREADS}",
        "use_quantized_grad": f"with stochastic rounding {_THREADS}",
        "stochastic_rounding": f"with use_quantized_grad {_THREADS}",
        "num_grad_quant_bins": f"use_quantized_grad: {_THREADS}",
        "quant_train_renew_leaf": f"use_quantized_grad: {_THREADS}",
        "device_type": _GPU,
        "gpu_platform_id": _GPU,
        "gpu_device_id": _GPU,
        "gpu_device_id_list": _GPU,
        "gpu_use_dp": _GPU,
        "num_gpu": _GPU,
        "tree_learner": "only the serial learner gives the same trees everywhere",
        "num_machines": "only the serial learner gives the same trees everywhere",
        "machines": "only the serial learner gives the same trees everywhere",
        "num_threads": "the number of threads is an argument of training and changes nothing",
        "pred_early_stop": _EARLY,
        "pred_early_stop_freq": f"pred_early_stop: {_EARLY}",
        "pred_early_stop_margin": f"pred_early_stop: {_EARLY}",
        "early_stopping_round": "the number of trees is a parameter, `rounds`, so that all nights can train the model",
        "num_iterations": "write `rounds` at the top of the file",
        "categorical_feature": "write `categorical`, with feature names, at the top of the file",
        "metric": "every model is measured in the same way, by models.evaluation",
        "sigmoid": "the score would no longer be the probability",
        "objective": "it stands at the top of the file",
        "seed": "it stands at the top of the file",
    }
)
