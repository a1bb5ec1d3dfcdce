"""The proofs: each tries to break the promise in one way, and says with figures what held.

A proof is a function of the trial. It returns a sentence of evidence, or raises `DoesNotHold`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import polars as pl
import time_machine

from features.fitted import apply
from features.purity import findings
from jobs.evidence.golden import other_environment, require_golden_night, require_golden_rows, side_by_side
from jobs.project import OURS
from jobs.proofs.leaks import fitting
from jobs.proofs.poison import poison_events, poison_knowledge
from jobs.proofs.trial import DoesNotHold, require_same_frame, require_same_scores, require_same_snapshot
from jobs.proofs.witness import Task, Testimony, ask, testimony_of_scores
from jobs.steps.scoring import features_of
from jobs.steps.training import calibration_facts, learning_again
from jobs.store.digest import rows_digest
from jobs.store.ledger import compare
from jobs.store.opening import stored_rows
from jobs.store.registry import read_model_texts
from jobs.store.snapshots import as_known_on, newest_kept
from jobs.warehouse.addresses import FileAddress, ServerAddress
from jobs.warehouse.extraction import SourceDiffers
from models.golden import choose_rows
from models.parameters import Parameters
from models.training import train_again

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from jobs.proofs.poison import Edge
    from jobs.proofs.sources import Source
    from jobs.proofs.trial import Trial
    from jobs.store.snapshots import Snapshot

_ORDERS = {"reversed": "row_number() OVER () DESC", "by one hash": "hash(source, 1)", "by another": "hash(source, 2)"}
_SHUFFLES = (1, 2, 3)
_EXTREMES = (1_000_000, 1_000, 10)  # the largest that the SQL can still cast
_FEW_ROWS = 2_000  # as many batches of one row as nobody minds to wait for
_BATCHES = (1, 7, 1_000)
_ALONE = 5
_LOTTERY = 7  # which entities are built alone; another number would be as good
_HOSTS: Mapping[str, Mapping[str, str]] = {
    "Kiritimati": {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONHASHSEED": "1"},
    "St John's": {"TZ": "America/St_Johns", "LC_ALL": "tr_TR.UTF-8", "LANG": "de_DE.UTF-8", "PYTHONHASHSEED": "4242"},
}
_CLOCKS = (datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2048, 2, 29, 12, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Proof:
    """One way to try: its name, what should not matter, and how it is tried."""

    name: str
    claim: str
    attempt: Callable[[Trial], str]


def golden(trial: Trial) -> str:
    """The model's golden rows give the same bits here, and its golden night the same features."""
    version = trial.version
    differences = other_environment(trial.job.project, trial.home, version)
    require_golden_rows(trial.job, trial.home, version, trial.model, differences)
    require_golden_night(trial.job, trial.home, version, differences)
    rows = f"{version.golden.rows:,} rows and the night of {version.golden.night}, {len(version.features)} features"
    return f"{rows}: the same bits; {side_by_side(differences)}"


def purity(trial: Trial) -> str:
    """No module of features, of ours or of the project, reduces floats, leaves ties open, reads a clock or a disk."""
    rooms = dict.fromkeys([OURS.features, trial.job.project.features])
    modules = [(path, path.relative_to(room.parent)) for room in rooms for path in _sources(room)]
    found = [str(one) for path, name in modules for one in findings(path.read_text(encoding="utf-8"), str(name))]
    if found:
        raise DoesNotHold(f"{len(found)} findings, the first: {found[0]}")
    return f"{len(modules)} modules of features read: no float reduction, no open tie, no clock, disk or host"


def _sources(room: Path) -> list[Path]:
    return sorted(path for path in room.rglob("*.py") if path.is_file())


def row_order(trial: Trial) -> str:
    """The order of rows in the warehouse, and of those that features are built from, changes nothing."""
    for name, order in _ORDERS.items():
        snapshot = trial.take(trial.variant(order=order), trial.as_of)
        require_same_snapshot(trial.night.snapshot, snapshot, f"source tables {name}")
    tables = {name: table.collect() for name, table in trial.tables(trial.night.snapshot).items()}
    for seed in _SHUFFLES:
        shuffled = {name: rows.sample(fraction=1.0, shuffle=True, seed=seed).lazy() for name, rows in tables.items()}
        frame = features_of(trial.job, shuffled, [trial.job.cutoff(trial.as_of)])
        require_same_frame(trial.night.frame, frame, "tables of the snapshot shuffled")
    rows = sum(table.rows for table in trial.night.snapshot.tables)
    times = f"{rows:,} rows of the snapshot shuffled {len(_SHUFFLES)} times"
    return f"{len(trial.sources)} source tables in {len(_ORDERS)} other orders, {times}"


def future_events(trial: Trial) -> str:
    """What happens at or after the cutoff changes nothing."""
    return _poisoned(trial, poison_events, "what happens from the cutoff on is nonsense")


def future_knowledge(trial: Trial) -> str:
    """What becomes known at or after the cutoff changes nothing."""
    if not any(query.declaration.known_time for query in trial.job.queries()):
        return "no table says when its rows became known: there is nothing to poison, and nothing is claimed"
    return _poisoned(trial, poison_knowledge, "what becomes known from the cutoff on is nonsense")


def _poisoned(trial: Trial, poison: Callable[[Edge, Source, Mapping[str, str]], Iterable[str]], what: str) -> str:
    """Extract the night from a warehouse with another future; then build it from a later look at such a one."""
    changed = trial.variant(partial(poison, trial.edge(trial.as_of, _EXTREMES[0], unseen=True)))
    require_same_snapshot(trial.night.snapshot, trial.take(changed, trial.as_of), what)
    night = trial.trained_night
    for size in _EXTREMES:
        try:
            later = trial.take_later(trial.variant(partial(poison, trial.edge(night, size, unseen=False))))
        except SourceDiffers:  # a cast that the SQL makes has no room for so large a value
            if size == _EXTREMES[-1]:
                raise
            continue
        break
    require_same_frame(trial.night_of(night).frame, trial.build_as_trained(later), f"{what}, seen {trial.later_as_of}")
    changes = sum(1 for part in later.tables if part.digest != trial.later.table(part.name).digest)
    if not changes:
        raise DoesNotHold(
            f"nothing could be poisoned as of {night}: the warehouse has no rows after it, prove another night"
        )
    return (
        f"the night extracted again: same rows; {night} built out of {changes} poisoned tables as they stand on "
        f"{trial.later_as_of}: same {trial.night_of(night).frame.height:,} rows"
    )


def threads(trial: Trial) -> str:
    """The number of threads of DuckDB, Polars and LightGBM changes nothing."""
    counts = sorted({1, 2, max(3, trial.threads)})
    for count in counts:
        said = _testimony(trial, {"POLARS_MAX_THREADS": str(count), "OMP_NUM_THREADS": str(count)}, count)
        _require_same_testimony(trial, said, f"{count} threads")
    return f"rows, features and scores made by new processes with {', '.join(map(str, counts))} threads each"


def host(trial: Trial) -> str:
    """Time zone, locale, hash seed, working directory and umask change nothing."""
    for place, settings in _HOSTS.items():
        said = _testimony(trial, settings, trial.threads, umask=0o077)
        _require_same_testimony(trial, said, f"a host in {place} ({', '.join(settings)})")
    return f"rows, features and scores made by new processes as in {' and '.join(_HOSTS)}, in another folder"


def _testimony(trial: Trial, settings: Mapping[str, str], count: int, umask: int = 0o022) -> Testimony:
    folder = trial.folder / "elsewhere"
    folder.mkdir(exist_ok=True)
    address = trial.settings.warehouse
    task = Task(
        project=str(trial.job.project.folder or ""),
        job=trial.job.name,
        as_of=trial.as_of.isoformat(),
        model_version=trial.version.version,
        home=str(trial.home.root),
        warehouse=address.path.as_posix() if isinstance(address, FileAddress) else address.url,
        on_server=isinstance(address, ServerAddress),
        scratch=str(folder / "home"),
        duckdb_threads=count,
        lightgbm_threads=count,
    )
    return ask(task, {**trial.environ, **settings}, folder, umask)


def _require_same_testimony(trial: Trial, said: Testimony, what: str) -> None:
    night = trial.night
    scores = testimony_of_scores(trial.job.key, night.frame, night.raw)
    own = Testimony(night.snapshot.digest, rows_digest(night.frame), scores)
    differing = [name for name in ("snapshot", "features", "scores") if getattr(own, name) != getattr(said, name)]
    if differing:
        raise DoesNotHold(f"{what}: other {', '.join(differing)}")


def batches(trial: Trial) -> str:
    """The size of the batches that are scored at once changes nothing."""
    night = trial.night
    for size in _BATCHES:
        few = night.frame.head(_FEW_ROWS) if size < _BATCHES[-1] else night.frame
        require_same_scores(night.raw[: few.height], trial.raw(few, batch_rows=size), f"batches of {size}")
    for count in sorted({1, 2, max(3, trial.threads)}):
        require_same_scores(night.raw, trial.raw(night.frame, night.frame.height, count), "all at once")
    return f"{night.frame.height:,} scores in batches of {', '.join(f'{size:,}' for size in _BATCHES)} and all at once"


def alone(trial: Trial) -> str:
    """An entity that is asked for alone gets what it gets in the whole population."""
    order = ["as_of", *trial.job.key]
    night = trial.night
    raw, seen = pl.Series("raw", night.raw), apply(night.frame, trial.fitted)
    few = choose_rows(night.frame.select(order), order, _LOTTERY, _ALONE)
    half = choose_rows(night.frame.select(order), order, _LOTTERY, night.frame.height // 2 or 1)
    for only in (*few.iter_slices(1), half):
        inside = night.frame.select(order).join(
            only.with_columns(inside=True), on=order, how="left", maintain_order="left"
        )
        frame = trial.build(night.snapshot, only)
        what = f"{only.height} of {night.frame.height} entities alone"
        there = inside.get_column("inside").fill_null(value=False)
        require_same_frame(night.frame.filter(there), frame, what)
        require_same_frame(seen.filter(there), apply(frame, trial.fitted), f"{what}, as the model sees them")
        require_same_scores(raw.filter(there).to_numpy(), trial.raw(frame), what)
    together = f"{half.height:,} of {night.frame.height:,} together"
    return f"{few.height} entities one by one, and {together}: same rows, same scores"


def clock(trial: Trial) -> str:
    """When it runs changes nothing."""
    for moment in _CLOCKS:
        with time_machine.travel(moment, tick=False):
            frame = trial.build(trial.night.snapshot)
            raw = trial.raw(frame)
        require_same_frame(trial.night.frame, frame, f"built with the clock at {moment:%Y-%m-%d %H:%M}")
        require_same_scores(trial.night.raw, raw, f"scored with the clock at {moment:%Y-%m-%d %H:%M}")
    return f"built and scored with the clock at {' and '.join(f'{moment:%Y-%m-%d}' for moment in _CLOCKS)}"


def parity(trial: Trial) -> str:
    """A row of a training set is the row that is scored on that night."""
    night = trial.trained_night
    known = as_known_on(trial.later, night, trial.job.horizon_days)
    trained = trial.build_as_trained(trial.later)
    among = f"{night} as one of {len(trial.training_nights)} nights of a training set"
    require_same_frame(trial.build(known), trained, among)
    require_same_frame(trial.night_of(night).frame, trained, f"{night} in a training set of {trial.later_as_of}")
    first, last = trial.training_nights[0], trial.training_nights[-1]
    said = f"{trained.height:,} rows of {night}, one of the nights {first} to {last}, value by value"
    return f"{said}; {_rewritten(trial, known)}"


def _rewritten(trial: Trial, known: Snapshot) -> str:
    """What the warehouse has changed of a night since its snapshot was kept: no failure, but worth to be known."""
    sql = known.sql_fingerprints
    kept = newest_kept(trial.home, trial.job.name, known.as_of, first_night=known.as_of, sql=sql)
    if kept is None:
        return "no snapshot of that night is kept to look for rewriting"
    if kept.digest == known.digest:
        return "the night's kept snapshot has the same rows"
    found = compare(kept, known, stored_rows(trial.home), stored_rows(trial.scratch)).mutations
    kinds = Counter(f"{each.table} {each.kind}" for each in found)
    listed = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "other SQL or columns"
    return f"rewritten since that night: {listed} (no failure; see: score mutations)"


def training(trial: Trial) -> str:
    """Two trainings give the same model, byte for byte."""
    version, job = trial.version, trial.job
    rows = trial.training_rows
    if rows.fitted.to_json() != version.fitted:
        raise DoesNotHold("what the transforms learn from the kept training rows is not what they learnt")
    parameters = Parameters.from_json(version.parameters)
    learning = learning_again(job, rows, parameters)
    found = {count: train_again(learning, parameters, count) for count in (1, max(2, trial.threads))}
    one, other = found.values()
    if one != other:
        raise DoesNotHold(f"{' and '.join(map(str, found))} threads give other models of {rows.frame.height:,} rows")
    counted = f"{rows.frame.height:,} rows, {_size_of(parameters)}, with {' and '.join(map(str, found))} threads"
    if one.texts == read_model_texts(trial.home, version) and calibration_facts(one.calibration) == version.calibration:
        return f"{counted}: the same text, the one that is kept"
    differences = other_environment(trial.job.project, trial.home, version)
    if not differences:
        raise DoesNotHold(f"{counted}: the same text twice, but not the one that is kept")
    return f"{counted}: the same text; not the kept one, for the environment is another ({side_by_side(differences)})"


def _size_of(parameters: Parameters) -> str:
    """How much was trained, in a few words."""
    rounds = [parameters.alone(member).rounds for member in parameters.members] or [parameters.rounds]
    members = f"{len(rounds)} members of " if parameters.members else ""
    calibrated = ", calibrated" if parameters.calibration else ""
    return f"{members}{' and '.join(map(str, sorted(set(rounds))))} rounds{calibrated}"


PROOFS: tuple[Proof, ...] = (
    Proof("golden", "the model still gives the bits that it gave", golden),
    Proof("purity", "feature code cannot depend on more than rows", purity),
    Proof("row_order", "the order of rows", row_order),
    Proof("future_events", "what happens at or after the cutoff", future_events),
    Proof("future_knowledge", "what becomes known at or after the cutoff", future_knowledge),
    Proof("threads", "the number of threads", threads),
    Proof("batches", "the size of batches", batches),
    Proof("alone", "who else is scored", alone),
    Proof("host", "time zone, locale, hash seed, folder", host),
    Proof("clock", "when it runs", clock),
    Proof("parity", "whether a row is trained on or scored", parity),
    Proof("fitting", "labels of later nights, and the order of training rows, to what is learnt of them", fitting),
    Proof("training", "training twice", training),
)
