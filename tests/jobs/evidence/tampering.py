"""What somebody may do to a stored file: by accident, or with care."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from jobs.definition import load_job
from jobs.settings import read_settings
from jobs.steps.scoring import scores_digest
from jobs.store.batches import column_digests
from jobs.store.digest import rows_digest
from jobs.store.documents import read_document, write_document
from jobs.store.home import Home
from jobs.store.objects import read_rows, seal_of, write_parquet
from jobs.store.registry import read_version, seal_of_text, version_names
from jobs.store.runs import FEATURES_FILE, SCORES_FILE
from jobs.warehouse.engine import connect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jobs.settings import Settings
    from jobs.store.registry import ModelVersion

JOB = load_job("flight_delay")


def flip(path: Path, at: int = -9) -> None:
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def rewrite(path: Path, change: Callable[[pl.DataFrame], pl.DataFrame]) -> pl.DataFrame:
    """Write a file of rows again with other rows; returns them."""
    rows = change(read_rows([path]))
    path.unlink()
    with connect() as con:
        write_parquet(con, rows, path)
    return rows


def forge_scores(run: Path, change: Callable[[pl.DataFrame], pl.DataFrame], *, raw: bool = True) -> None:
    """Put other rows into a run's scores, and let its manifest say that they are the right ones."""
    scores = rewrite(run / SCORES_FILE, change)
    digests = {"published_digest": rows_digest(scores), "row_count": scores.height}
    forge_manifest(run, SCORES_FILE, digests | ({"scores_digest": scores_digest(scores, JOB.key)} if raw else {}))


def forge_features(run: Path, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """Put other rows into a run's features, and let its manifest say that they are the right ones."""
    rows = rewrite(run / FEATURES_FILE, change)
    digests = [list(each) for each in column_digests(rows)]
    forge_manifest(run, FEATURES_FILE, {"features_digest": rows_digest(rows), "feature_digests": digests})


def forge_manifest(run: Path, name: str, digests: dict) -> None:
    """A whole manifest that says other things."""
    body = read_document(run / "manifest.json", "run")
    seal = seal_of(run / name)
    write_document(
        run / "manifest.json", "run", {**body, **digests, "files": {**body["files"], name: [seal.sha256, seal.size]}}
    )


def forge_version(root: Path, change: Callable[[str], str] = str, **facts: object) -> ModelVersion:
    """A version beside the first one, whole in itself, with another text, or other facts in its manifest."""
    home = Home(root)
    version = read_version(home, JOB.name, version_names(home, JOB.name)[0])
    folder = home.models(JOB.name) / version.version
    text = change((folder / "model.txt").read_text())
    forged = replace(version, model_seal=seal_of_text(text), **facts)
    beside = folder.with_name(forged.version)
    shutil.copytree(folder, beside)
    (beside / "model.txt").write_text(text)
    write_document(beside / "manifest.json", "model version", forged.to_json())
    return forged


def one_ulp_more(text: str) -> str:
    """A model text whose first leaf is one bit further from zero."""
    before, name, rest = text.partition("leaf_value=")
    value, space, after = rest.partition(" ")
    number = float(value)
    return f"{before}{name}{math.nextafter(number, math.copysign(math.inf, number))!r}{space}{after}"


def one_more(name: str, change: Callable[[pl.Expr], pl.Expr]) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """A change of one column in the first row."""

    def changed(rows: pl.DataFrame) -> pl.DataFrame:
        first = pl.int_range(pl.len()) == 0
        return rows.with_columns(pl.when(first).then(change(pl.col(name))).otherwise(pl.col(name)).alias(name))

    return changed


def settings(home: Path, warehouse: Path) -> Settings:
    """The settings of a process that works on a home and a warehouse."""
    named = {"SCORE_HOME": str(home), "SCORE_WAREHOUSE": f"duckdb:///{warehouse}"}
    return read_settings(named, lambda: datetime.now(UTC))
