"""The one door to LightGBM: what is fitted comes out as canonical text, what is loaded makes no noise.

Canonical text is what is stored and hashed. It is LightGBM's own, except for the line `[num_threads: n]`, which is
written as `[num_threads: 0]` (as many as there are): nothing else in the text depends on the number of threads, and it
holds neither a path nor a time.
"""

import logging
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.library import Loaded
from models.parameters import Parameters

type Floats = npt.NDArray[np.float64]

_LOG = logging.getLogger(__name__)
_THREADS_LINE = re.compile(r"^\[num_threads: -?\d+\]$", re.MULTILINE)


class _Quiet:
    """Where LightGBM's messages go: this module's logger, at debug level, whatever LightGBM calls them."""

    def info(self, message: str) -> None:
        _LOG.debug("%s", message)

    def warning(self, message: str) -> None:
        _LOG.debug("%s", message)


class ModelTextRefused(ValueError):
    """A model text is not one that `fit` writes."""


def fit(matrix: Floats, label: Floats, features: Sequence[str], parameters: Parameters, threads: int) -> str:
    """One model, as canonical text; rows are taken in the order given, which matters."""
    import lightgbm  # noqa: PLC0415  it imports pandas and scipy: half a second, which only training pays

    lightgbm.register_logger(_Quiet())
    told = parameters.library(_at_least_one(threads))
    codes = list(parameters.categorical)
    data = lightgbm.Dataset(matrix, label, feature_name=list(features), categorical_feature=codes, params=told)
    booster = lightgbm.train(told, data, num_boost_round=parameters.rounds)
    return canonical(booster.model_to_string(num_iteration=-1))


def canonical(text: str) -> str:
    """Write the text of a model as if no number of threads had been asked for."""
    same, lines = _THREADS_LINE.subn("[num_threads: 0]", text)
    if lines != 1:
        raise ModelTextRefused(f"a model text has one line `[num_threads: …]`; found {lines}")
    return same


def load(text: str) -> Loaded:
    """Load a model from its text; a damaged text may end the process, so its SHA-256 is checked before."""
    return Loaded(text)


def raw(loaded: Loaded, matrix: Floats, threads: int) -> Floats:
    """One raw score a row, all trees, never stopped early."""
    return loaded.raw(matrix, _at_least_one(threads))


def _at_least_one(threads: int) -> int:
    """Refuse LightGBM's 0, which would leave the number of threads to the environment."""
    if threads < 1:
        raise ValueError(f"the number of threads is at least 1; got {threads}")
    return threads
