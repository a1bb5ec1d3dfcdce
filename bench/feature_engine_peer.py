"""The same columns by Feature-engine's transformers: fitted on one file of rows, applied to both.

    python bench/feature_engine_peer.py training.parquet scored.parquet folder

Needs feature-engine, pandas and pyarrow; `bench/fitted_transforms.py` makes an environment with them, and calls this.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pandas as pd
from feature_engine.discretisation import EqualFrequencyDiscretiser
from feature_engine.encoding import MeanEncoder, OrdinalEncoder, RareLabelEncoder
from feature_engine.imputation import (
    AddMissingIndicator,
    ArbitraryNumberImputer,
    MeanMedianImputer,
    RandomSampleImputer,
)
from feature_engine.outliers import Winsorizer

NUMBERS, TEXT = ["plane_seats", "wind_gust_mph", "number_mean_delay_min_28d"], ["carrier_code", "dest_code"]
FULL = ["sched_dep_minute", "distance_mi", "origin_mean_delay_min_7d"]
TRANSFORMERS = {
    "median": (MeanMedianImputer("median"), NUMBERS),
    "constant": (ArbitraryNumberImputer(-1), NUMBERS),
    "indicator": (AddMissingIndicator(missing_only=False), NUMBERS),
    "sample": (RandomSampleImputer(random_state=7), NUMBERS),
    "rare": (RareLabelEncoder(0.002, n_categories=1, replace_with="(rare)", missing_values="ignore"), TEXT),
    "codes": (OrdinalEncoder("arbitrary", missing_values="ignore"), TEXT),
    "winsor": (Winsorizer("quantiles", "both", 0.01, missing_values="ignore"), NUMBERS),
    "bins": (EqualFrequencyDiscretiser(q=10), FULL),
    "target": (MeanEncoder(missing_values="ignore", smoothing=100), TEXT),
}


def main(training: str, scored: str, folder: str) -> None:
    """Fit on the training rows, and write what both become; rows in reverse too, put back in their order."""
    train, score = pd.read_parquet(training), pd.read_parquet(scored)
    for name, (transformer, columns) in TRANSFORMERS.items():
        began = time.perf_counter()
        transformer.fit(train[columns], train["label"])
        took = time.perf_counter() - began
        transformer.transform(train[columns]).to_parquet(Path(folder) / f"{name}_training.parquet")
        transformer.transform(score[columns]).to_parquet(Path(folder) / f"{name}_scored.parquet")
        back = transformer.transform(score[columns].iloc[::-1].reset_index(drop=True)).iloc[::-1]
        back.reset_index(drop=True).to_parquet(Path(folder) / f"{name}_reversed.parquet")
        print(f"{name} {took:.3f}")
    numeric = train.drop(columns="label").select_dtypes("number").astype("float64")
    medians = MeanMedianImputer("median").fit(numeric).imputer_dict_
    capped = numeric[[name for name in numeric if numeric[name].quantile(0.01) < numeric[name].quantile(0.99)]]
    winsorizer = Winsorizer("quantiles", "both", 0.01, missing_values="ignore").fit(capped)
    learnt = {"median": medians, "low": winsorizer.left_tail_caps_, "high": winsorizer.right_tail_caps_}
    (Path(folder) / "learnt.json").write_text(json.dumps(learnt))


if __name__ == "__main__":
    main(*sys.argv[1:])
