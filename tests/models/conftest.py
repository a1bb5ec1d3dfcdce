"""Generated nights with what real ones have: nulls, codes, booleans, integers and a signal worth learning."""

import os
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from models.parameters import Parameters, parse_parameters

if TYPE_CHECKING:
    from models.training import TrainedModel

# Threads that wait for each other in a loop take 40 times as long on a machine that others use too. OpenMP reads this
# when LightGBM is first imported, which is why nothing above imports it.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

TOML = """
objective = "binary"
rounds = 40
seed = 20130901
validation_nights = 7
categorical = ["carrier_code", "origin_code"]

[lightgbm]
learning_rate = 0.1
num_leaves = 15
min_data_in_leaf = 50
feature_fraction = 0.7
bagging_fraction = 0.8
bagging_freq = 1
"""


def generated(nights: int, flights: int) -> pl.DataFrame:
    """One row a (night, carrier, flight), in that order."""
    draw, rows = np.random.default_rng(20130901), nights * flights
    hour, carrier, share = draw.integers(5, 23, rows), draw.integers(0, 16, rows), draw.random(rows)
    chance = 1 / (1 + np.exp(-(0.15 * (hour - 14) + 2 * (share - 0.5) + (carrier % 4) * 0.4 - 1.2)))
    frame = pl.DataFrame(
        {
            "as_of": [date(2013, 5, 1) + timedelta(days=n) for n in range(nights) for _ in range(flights)],
            "carrier": [f"C{n // 100:02}" for _ in range(nights) for n in range(flights)],
            "flight": [n for _ in range(nights) for n in range(flights)],
            "hour": hour.astype(np.int16),
            "carrier_code": carrier.astype(np.int32),
            "origin_code": draw.integers(0, 3, rows).astype(np.int32),
            "late_share_28d": share,
            "flown_28d": draw.integers(0, 900, rows),
            "wind_mph": draw.normal(12, 4, rows),
            "is_weekend": draw.random(rows) < 2 / 7,
            "distance_mi": draw.integers(90, 4000, rows).astype(np.int32),
            "label": (draw.random(rows) < chance).astype(np.int8),
        }
    )
    missing = {name: pl.Series(draw.random(rows) < 0.1) for name in ("late_share_28d", "wind_mph", "carrier_code")}
    return frame.with_columns(pl.when(~gone).then(pl.col(name)).alias(name) for name, gone in missing.items())


@pytest.fixture(scope="session")
def frame() -> pl.DataFrame:
    return generated(nights=40, flights=500)


@pytest.fixture(scope="session")
def small() -> pl.DataFrame:
    return generated(nights=10, flights=60)


@pytest.fixture(scope="session")
def parameters() -> Parameters:
    return parse_parameters(TOML, "models/flight_delay.toml")


@pytest.fixture(scope="session")
def trained(frame: pl.DataFrame, parameters: Parameters) -> "TrainedModel":
    from models.training import train  # noqa: PLC0415 - not before OMP_WAIT_POLICY is set
    from tests.models.learning import learning  # noqa: PLC0415 - as above

    return train(learning(frame, parameters), parameters, threads=2)
