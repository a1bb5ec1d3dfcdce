"""What a night loads, imported once in the process that others are forked from; none of it starts a thread by that."""

import lightgbm as _lightgbm
import polars.io.parquet as _parquet
import pyarrow as _arrow  # noqa: ICN001  only loaded
from typer import _adapters

import features.flight_delay as _features
import jobs.cli as _cli
from jobs.definition import load_job
from jobs.exits import known_failures

known_failures()
load_job("flight_delay").queries()

__all__ = ["_adapters", "_arrow", "_cli", "_features", "_lightgbm", "_parquet"]
