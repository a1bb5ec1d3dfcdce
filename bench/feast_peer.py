"""The same night with Feast: windows as feature views in Parquet, put together by its point-in-time join on DuckDB.

    python bench/feast_peer.py large.duckdb 2013-09-01 model.txt codes.json scores.parquet

Feast computes no windows: the sums are the lean script's, stamped with the cutoff, as a nightly job would add them to
the views. Its part is `get_historical_features` over the night's flights; pandas and Booster.predict do the rest.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import duckdb
import lightgbm
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.types import Float64, Int32, Int64, String
from feast.value_type import ValueType
from lean import KEY, QUERY

VIEWS = {  # the longest name first: `carrier_origin_` begins with `carrier_`
    "number": ("carrier", "flight", "origin"),
    "carrier_origin": ("carrier", "origin"),
    "carrier": ("carrier",),
}
TYPES = {"carrier": ValueType.STRING, "flight": ValueType.INT32, "origin": ValueType.STRING}
KEYS = {"carrier": String, "flight": Int32, "origin": String}


def main(warehouse: str, as_of: str, model: str, codes: str, out: str) -> None:
    """Score one night."""
    with tempfile.TemporaryDirectory() as folder:
        flights, columns = flights_and_views(warehouse, as_of, Path(folder))
        store, names = store_of(Path(folder), columns)
        frame = store.get_historical_features(entity_df=flights, features=names).to_df()
    for name, labels in json.loads(Path(codes).read_text())["labels"]:
        frame[name] = frame[name].map({label: code for code, label in enumerate(labels)})
    booster = lightgbm.Booster(model_file=model)
    raw = booster.predict(frame[booster.feature_name()], raw_score=True, num_threads=os.cpu_count())
    frame[KEY].assign(raw_score=raw).to_parquet(out)


def flights_and_views(warehouse: str, as_of: str, folder: Path) -> tuple[object, dict[str, list[str]]]:
    """The night's flights, as pandas, and the columns of each view, whose rows become Parquet; by the lean query."""
    with duckdb.connect(warehouse, read_only=True) as con:
        cutoff = con.execute("SELECT timezone('America/New_York', ?::TIMESTAMP)", [as_of]).fetchall()[0][0]
        wide = con.sql(QUERY, params={"as_of": as_of, "cutoff": cutoff}).to_arrow_table()
        con.register("wide", wide)
        columns: dict[str, list[str]] = {view: [] for view in VIEWS}
        for name in wide.column_names:
            for view in VIEWS:  # the longest name first
                if name.startswith(f"{view}_"):
                    columns[view].append(name)
                    break
        for view, by in VIEWS.items():
            told = f"SELECT DISTINCT {', '.join((*by, *columns[view]))}, $at::TIMESTAMPTZ AS event_timestamp FROM wide"
            con.execute(f"COPY ({told}) TO '{folder / view}.parquet'", {"at": cutoff})
        windows = ", ".join(name for names in columns.values() for name in names)
        flights = f"SELECT * EXCLUDE ({windows}), $at::TIMESTAMPTZ AS event_timestamp FROM wide"
        return con.sql(flights, params={"at": cutoff}).df(), columns


def store_of(folder: Path, columns: dict[str, list[str]]) -> tuple[FeatureStore, list[str]]:
    """A feature store of the views, and the names of all its features."""
    store = FeatureStore(
        config=RepoConfig(
            project="bench",
            provider="local",
            registry=str(folder / "registry.db"),
            offline_store={"type": "duckdb"},
            online_store=None,
            entity_key_serialization_version=3,
        )
    )
    entities = {name: Entity(name=name, join_keys=[name], value_type=kind) for name, kind in TYPES.items()}
    views = [
        FeatureView(
            name=view,
            entities=[entities[name] for name in by],
            ttl=timedelta(days=1),
            schema=[
                *(Field(name=name, dtype=Int64 if "_flown_" in name else Float64) for name in columns[view]),
                *(Field(name=name, dtype=KEYS[name]) for name in by),
            ],
            source=FileSource(path=str(folder / f"{view}.parquet"), timestamp_field="event_timestamp"),
        )
        for view, by in VIEWS.items()
    ]
    store.apply([*entities.values(), *views])
    return store, [f"{view}:{name}" for view, names in columns.items() for name in names]


if __name__ == "__main__":
    main(*sys.argv[1:])
