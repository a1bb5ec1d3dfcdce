"""The night that is put to proof, as this process makes it of the warehouse as it is now; what proofs compare with."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.fitted import Fitted
from jobs.proofs.poison import Edge
from jobs.proofs.sources import Source, copy_server, copy_sources, sources_of, unchanged
from jobs.screen import silent
from jobs.steps.scoring import build_night, differing_columns, features_of, load_model, raw_scores
from jobs.steps.snapshots import take_snapshot
from jobs.steps.training import trained_nights, training_rows
from jobs.store.batches import column_digests
from jobs.store.home import open_home
from jobs.store.opening import in_store, read_tables
from jobs.store.snapshots import read_snapshot
from jobs.warehouse.addresses import FileAddress

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jobs.definition import Job
    from jobs.proofs.sources import Change
    from jobs.screen import Tell
    from jobs.settings import Settings
    from jobs.steps.training import TrainingRows
    from jobs.store.home import Home
    from jobs.store.registry import ModelVersion
    from jobs.store.snapshots import Snapshot
    from jobs.warehouse.addresses import Address
    from models.booster import Floats
    from models.ensemble import Scorer

_AROUND = 3  # nights before and after the one that is looked at, in a training set


class DoesNotHold(Exception):
    """A proof found the promise broken; the message says where."""


@dataclass(frozen=True, slots=True)
class Night:
    """One night of the warehouse as it is: its rows, one row per entity of features, and one raw score each."""

    snapshot: Snapshot
    frame: pl.DataFrame
    raw: Floats


@dataclass(slots=True)
class Trial:
    """What all proofs of one night share; `scratch` is a home of their own, gone afterwards."""

    job: Job
    settings: Settings
    home: Home
    scratch: Home
    folder: Path
    as_of: date
    version: ModelVersion
    threads: int
    environ: Mapping[str, str]
    tell: Tell = silent
    model: Scorer = field(init=False)
    fitted: Fitted = field(init=False)
    sources: tuple[Source, ...] = field(init=False)
    _nights: dict[date, Night] = field(default_factory=dict)
    _later: Snapshot | None = None
    _rows: TrainingRows | None = None

    def __post_init__(self) -> None:
        self.model = load_model(self.home, self.version)
        self.fitted = Fitted.from_json(self.version.fitted)
        self.sources = sources_of(self.job.queries())

    def look(self) -> None:
        """Make the night of the warehouse as it is; what is wrong with that is an error, and no finding."""
        self.night_of(self.as_of)

    @property
    def night(self) -> Night:
        """The night itself."""
        return self.night_of(self.as_of)

    def night_of(self, as_of: date) -> Night:
        """A night of the warehouse as it is."""
        if as_of not in self._nights:
            snapshot = self.take(self.settings.warehouse, as_of)
            frame = self.build(snapshot)
            self._nights[as_of] = Night(snapshot, frame, self.raw(frame))
        return self._nights[as_of]

    @property
    def trained_night(self) -> date:
        """The night, or the newest one before it that can be in the middle of a training set by now."""
        return min(self.as_of, self.later_as_of - timedelta(days=self.job.horizon_days + _AROUND))

    @property
    def later_as_of(self) -> date:
        """An as-of by which the night is past and its labels are known, as far as that day has begun."""
        wanted = self.as_of + timedelta(days=self.job.horizon_days + self.job.label_delay_days + _AROUND)
        return min(wanted, self.settings.today(self.job.calendar))

    @property
    def training_nights(self) -> tuple[date, ...]:
        """Some consecutive nights of a training set; the trained night is in the middle, so that others follow it."""
        return tuple(self.trained_night + timedelta(days=day) for day in range(-_AROUND, _AROUND + 1))

    @property
    def later(self) -> Snapshot:
        """What a training set of these nights is built from, of the warehouse as it is."""
        if self._later is None:
            self._later = self.take_later(self.settings.warehouse)
        return self._later

    @property
    def training_rows(self) -> TrainingRows:
        """What the model was trained on, built again of the kept snapshot, by the transforms that its state names."""
        if self._rows is None:
            version, job = self.version, self.job
            snapshot = read_snapshot(self.home, job.name, version.as_of, version.snapshot_digest)
            self._rows = training_rows(job, self.home, snapshot, trained_nights(version.training), self.fitted)
        return self._rows

    def take(self, warehouse: Address, as_of: date) -> Snapshot:
        """The night's rows of some warehouse."""
        return take_snapshot(self.job, replace(self.settings, warehouse=warehouse), self.scratch, as_of).snapshot

    def take_later(self, warehouse: Address) -> Snapshot:
        """The rows of some warehouse for a training set of several nights."""
        settings = replace(self.settings, warehouse=warehouse)
        first = self.training_nights[0]
        return take_snapshot(self.job, settings, self.scratch, self.later_as_of, first_night=first).snapshot

    def build(self, snapshot: Snapshot, only: pl.DataFrame | None = None) -> pl.DataFrame:
        """The features of a snapshot's own night."""
        return build_night(self.job, self.tables(snapshot), snapshot.as_of, only)

    def build_as_trained(self, snapshot: Snapshot) -> pl.DataFrame:
        """The features of the trained night, built as one of several nights of a training set."""
        cutoffs = [self.job.cutoff(night) for night in self.training_nights]
        frame = features_of(self.job, self.tables(snapshot), cutoffs)
        return frame.filter(pl.col("as_of") == self.trained_night)

    def tables(self, snapshot: Snapshot) -> dict[str, pl.LazyFrame]:
        """The tables of a snapshot in the scratch home."""
        return read_tables(in_store(self.scratch), snapshot)

    def raw(self, frame: pl.DataFrame, batch_rows: int = 65_536, threads: int = 1) -> Floats:
        """One raw score a row, by the model that is put to proof."""
        return raw_scores(self.job, frame, self.fitted, self.model, threads, batch_rows)

    def variant(self, change: Change = unchanged, order: str | None = None) -> FileAddress:
        """A copy of the source tables that is another warehouse: the one before it is gone."""
        path = self.folder / "warehouse.duckdb"
        copy_sources(self.source_file, path, self.sources, order, change)
        return FileAddress(path)

    @property
    def source_file(self) -> Path:
        """A DuckDB file with the source tables: the warehouse itself, or what a server holds, copied once."""
        address = self.settings.warehouse
        if isinstance(address, FileAddress):
            return address.path
        path = self.folder / "server.duckdb"
        if not path.exists():
            self.tell(f"copying what {self.job.name} reads from {address}")
            copy_server(address, path, self.job.queries())
        return path

    def edge(self, night: date, size: int, *, unseen: bool) -> Edge:
        """Where the future of a night begins."""
        end = self.job.calendar.cutoff(night + timedelta(days=self.job.horizon_days))
        return Edge(self.job.calendar.cutoff(night), end, size, unseen)


def scratch_home(folder: Path) -> Home:
    """A home for the snapshots of a trial."""
    return open_home(folder / "home")


def require_same_snapshot(expected: Snapshot, found: Snapshot, what: str) -> None:
    """Pass if two snapshots hold the same rows.

    Raises:
        DoesNotHold: naming the tables that do not.
    """
    if found.digest != expected.digest:
        tables = [each.name for each in expected.tables if found.table(each.name).digest != each.digest]
        raise DoesNotHold(f"{what}: the SQL returns other rows of {', '.join(tables) or 'no table, but of other SQL'}")


def require_same_frame(expected: pl.DataFrame, found: pl.DataFrame, what: str) -> None:
    """Pass if two feature frames agree in every bit; otherwise the message counts, and repeats no value."""
    if column_digests(expected) == column_digests(found):
        return
    if found.height != expected.height:
        raise DoesNotHold(f"{what}: {found.height} rows instead of {expected.height}")
    named = [name for name in expected.columns if name in found.columns]
    rows = {name: _rows_differing(expected[name], found[name]) for name in named}
    counts = [f"`{name}` in {count}" for name, count in rows.items() if count]
    said = differing_columns(column_digests(expected), column_digests(found))
    raise DoesNotHold(f"{what}: of {found.height} rows {', '.join(counts[:5])}" if counts else f"{what}: {said}")


def require_same_scores(expected: Floats, found: Floats, what: str) -> None:
    """Pass if raw scores agree in every bit."""
    if len(expected) != len(found):
        raise DoesNotHold(f"{what}: {len(found)} scores instead of {len(expected)}")
    wrong = int((expected.view(np.uint64) != found.view(np.uint64)).sum())
    if wrong:
        raise DoesNotHold(f"{what}: {wrong} of {len(found)} raw scores are other bits")


def _rows_differing(expected: pl.Series, found: pl.Series) -> int:
    if expected.dtype != found.dtype:
        return len(expected)
    return int(expected.ne_missing(found).sum())
