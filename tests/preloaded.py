"""What a night loads, imported once in the process that others are forked from; none of it starts a thread by that."""

import lightgbm as _lightgbm
import polars.io.parquet as _parquet
import pyarrow as pa

import features.flight_delay as _features
import jobs.cli as _cli
from jobs.exits import known_failures

known_failures()

__all__ = ["_cli", "_features", "_lightgbm", "_parquet", "pa"]
