"""What a model may learn, and how its raw score becomes a score: LightGBM's objectives whose trees are repeatable.

Only the standard library is imported here (see `models.parameters`).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

type Objective = Literal["binary", "regression", "regression_l1", "huber", "fair", "poisson", "gamma", "tweedie"]
type Link = Literal["logistic", "identity", "exponential"]

OBJECTIVES: Mapping[str, Link] = MappingProxyType(
    {
        "binary": "logistic",  # the raw score is the log odds
        "regression": "identity",
        "regression_l1": "identity",
        "huber": "identity",
        "fair": "identity",
        "poisson": "exponential",  # the raw score is the logarithm of what is expected
        "gamma": "exponential",
        "tweedie": "exponential",
    }
)
"""Each gave equal trees for 1, 2 and 3 threads (tests/models/test_objectives.py)."""

NOT_NEGATIVE = frozenset({"poisson", "tweedie"})
POSITIVE = frozenset({"gamma"})

REFUSED_OBJECTIVES: Mapping[str, str] = MappingProxyType(
    {
        "cross_entropy": "for labels of 0 and 1 it is `binary`; write that",
        "cross_entropy_lambda": "its score is no probability; write `binary`",
        "quantile": "its score is not what is expected, and everything here measures that",
        "mape": "it divides by the label, which may be 0",
        "multiclass": "one score a row is published",
        "multiclassova": "one score a row is published",
        "lambdarank": "rows are scored alone, not ranked within a group",
        "rank_xendcg": "rows are scored alone, not ranked within a group",
    }
)
