"""The same night as others would write it: features by the lean script's query, scores by pandas, or by MLflow.

    python bench/peers.py pandas large.duckdb 2013-09-01 model.txt codes.json scores.parquet
    python bench/peers.py mlflow large.duckdb 2013-09-01 saved_model codes.json scores.parquet
    python bench/peers.py save model.txt saved_model            # what mlflow loads, made once

Needs DuckDB, pandas, LightGBM, pyarrow, and MLflow for its own; `bench/whole_night.py --peers` makes an environment.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import duckdb
import lightgbm
from lean import KEY, QUERY


def score(way: str, warehouse: str, as_of: str, model: str, codes: str, out: str) -> None:
    """Score one night from a pandas frame."""
    with duckdb.connect(warehouse, read_only=True) as con:
        cutoff = con.execute("SELECT timezone('America/New_York', ?::TIMESTAMP)", [as_of]).fetchall()[0][0]
        frame = con.sql(QUERY, params={"as_of": as_of, "cutoff": cutoff}).df()
    for name, labels in json.loads(Path(codes).read_text())["labels"]:
        frame[name] = frame[name].map({label: code for code, label in enumerate(labels)})
    features = frame.drop(columns=KEY)
    if way == "mlflow":
        import mlflow.pyfunc  # noqa: PLC0415  only here

        scores = mlflow.pyfunc.load_model(model).predict(features)  # probabilities: it passes no parameters on
    else:
        scores = lightgbm.Booster(model_file=model).predict(features, num_threads=os.cpu_count())
    frame[KEY].assign(score=scores).to_parquet(out)


def save(model: str, place: str) -> None:
    """The model in MLflow's own format."""
    import mlflow.lightgbm  # noqa: PLC0415  only here

    mlflow.lightgbm.save_model(lightgbm.Booster(model_file=model), place)


if __name__ == "__main__":
    (save if sys.argv[1] == "save" else score)(*sys.argv[2:] if sys.argv[1] == "save" else sys.argv[1:])
