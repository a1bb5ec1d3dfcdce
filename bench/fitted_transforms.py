"""Our transforms beside Feature-engine's of the same purpose: both learn of the flights up to August 2013.

    python bench/fitted_transforms.py [--place FOLDER] [--write]

Builds the features of all nights that had matured before 1 September, and of the thirty from then on; fits ours here
and Feature-engine's (`bench/feature_engine_peer.py`) in an environment of its own, which uv makes; applies both to the
rows that were learnt of and to September, and counts the rows that agree to the bit. `--write` puts the table into
docs/fitted_transforms.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.page import table, write_section
from features.fitted import (
    Codes,
    ConstantImputation,
    MedianImputation,
    MissingIndicator,
    QuantileBins,
    RandomSampleImputation,
    RareLabels,
    TargetEncoding,
    Winsorising,
    apply,
    fit,
)
from features.fitted.drawing import drawn
from jobs.definition import load_job
from jobs.settings import read_settings
from jobs.steps.scoring import build_night
from jobs.steps.snapshots import take_snapshot
from jobs.steps.training import training_rows
from jobs.store.home import open_home
from jobs.store.opening import in_store, read_tables
from jobs.warehouse.sample import load_sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.fitted import Fitted
    from features.fitted.declaring import Transform
    from jobs.definition import Job

ROOT = Path(__file__).resolve().parents[1]
AS_OF = date(2013, 9, 1)
NIGHTS = tuple(AS_OF + timedelta(days=n) for n in range(30))
NEEDS = ("feature-engine", "pyarrow")
NUMBERS, TEXT = ("plane_seats", "wind_gust_mph", "number_mean_delay_min_28d"), ("carrier_code", "dest_code")
_DRAWS = 1_000_000
FULL = ("sched_dep_minute", "distance_mi", "origin_mean_delay_min_7d")


@dataclass(frozen=True, slots=True)
class Pair:
    """One of our transforms and what it is compared with; which of the columns that either gives are compared."""

    name: str
    ours: Transform | None
    theirs: str
    columns: tuple[tuple[str, str], ...]
    why: str


def _same(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((name, name) for name in names)


PAIRS = (
    Pair(
        "median",
        MedianImputation(NUMBERS),
        "MeanMedianImputer",
        _same(NUMBERS),
        "of an even number of values theirs is the mean of the middle two, ours the lower one; theirs makes floats of "
        "integers",
    ),
    Pair("constant", None, "ArbitraryNumberImputer(-1)", _same(NUMBERS), "theirs makes floats of integers"),
    Pair(
        "indicator",
        MissingIndicator(NUMBERS),
        "AddMissingIndicator",
        tuple((f"{name}_missing", f"{name}_na") for name in NUMBERS),
        "the same, by another name",
    ),
    Pair(
        "sample",
        RandomSampleImputation(NUMBERS, 7),
        "RandomSampleImputer(random_state=7)",
        _same(NUMBERS),
        "theirs draws by the position of the row in its frame, ours by its key; so rows that are imputed agree by "
        "chance, and theirs change with the order of the rows and with who else is there",
    ),
    Pair(
        "rare",
        RareLabels(TEXT, "0.002"),
        "RareLabelEncoder(0.002)",
        _same(TEXT),
        "theirs compares shares as floats, ours as fractions; a label that training did not see is rare in both",
    ),
    Pair(
        "codes",
        None,
        "OrdinalEncoder('arbitrary')",
        _same(TEXT),
        "theirs numbers labels as they appear, so that another order of training rows gives other codes; ours by their "
        "bytes. An unseen label is null in both",
    ),
    Pair(
        "winsor",
        Winsorising(NUMBERS),
        "Winsorizer('quantiles', fold=0.01)",
        _same(NUMBERS),
        "theirs puts a quantile between two values where it falls so, ours is a value that occurred",
    ),
    Pair("bins", QuantileBins(FULL), "EqualFrequencyDiscretiser(10)", _same(FULL), "borders as quantiles above"),
    Pair(
        "target",
        TargetEncoding(TEXT, 100, suffix=""),
        "MeanEncoder(smoothing=100)",
        _same(TEXT),
        "theirs gives a training row a mean that holds its own label and later ones, ours what had matured before its "
        "night. For scored rows the means are the same but for the last bits, since ours is one division of integers; "
        "theirs leaves an unseen label null, ours gives it the mean of all",
    ),
)


def main() -> None:
    """Build, fit both, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--place", type=Path, help="a folder to work in, and to find what is made already")
    parser.add_argument("--write", action="store_true", help="put the table into docs/fitted_transforms.md")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = given.place or Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        job = load_job("flight_delay")
        learnt, scored = rows_of(job, place)
        release = _theirs(place)
        lines = [line for pair in PAIRS for line in _lines(job, pair, place, learnt, scored)]
        quantiles = _quantiles(job, place, learnt)
    head = ("transform and column", "learnt of", "furthest", "September", "furthest", "reversed: ours", "theirs")
    whys = "\n".join(f"- **{pair.name}** beside `{pair.theirs}`: {pair.why}." for pair in PAIRS)
    text = (
        f"Rows whose value agrees to the bit, and the greatest difference: of {learnt.height:,} rows that were learnt "
        f"of, and of {scored.height:,} of September 2013, with feature-engine {release}. Then rows "
        "of September that become another value when they are given in reverse order.\n\n"
        f"    python bench/fitted_transforms.py\n\n{table(head, lines)}\n\n{whys}\n\n{quantiles} {_draws()}\n"
    )
    print(text)
    if given.write:
        write_section("feature_engine", "Beside Feature-engine", text, ROOT / "docs" / "fitted_transforms.md")


def rows_of(job: Job, place: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The training rows with their label, and the rows of September; also as files for the peer."""
    files = place / "training.parquet", place / "scored.parquet"
    if not all(file.exists() for file in files):
        settings = read_settings({"SCORE_HOME": str(place / "home")}, lambda: datetime.now(UTC))
        home = open_home(settings.home)
        load_sample(settings.home / "warehouse.duckdb")
        first = AS_OF - timedelta(days=job.training.nights)
        rows = training_rows(job, home, take_snapshot(job, settings, home, AS_OF, first_night=first).snapshot)
        rows.built.with_columns(rows.label).write_parquet(files[0])
        nights = [take_snapshot(job, settings, home, night).snapshot for night in NIGHTS]
        built = [build_night(job, read_tables(in_store(home), each), each.as_of) for each in nights]
        pl.concat(built).write_parquet(files[1])
    return pl.read_parquet(files[0]), pl.read_parquet(files[1])


def _theirs(place: Path) -> str:
    """What Feature-engine makes of them, as files; its release."""
    environment = place / "environment_of_feature_engine"
    python = environment / "bin" / "python"
    if not python.exists():
        subprocess.run(["uv", "venv", "-q", "--python", sys.executable, str(environment)], check=True)
        subprocess.run(["uv", "pip", "install", "-q", "--python", str(python), *NEEDS], check=True)
    peer = ROOT / "bench" / "feature_engine_peer.py"
    made = [str(python), "-W", "ignore", str(peer), "training.parquet", "scored.parquet", "."]
    subprocess.run(made, check=True, cwd=place)
    asked = "from importlib.metadata import version; print(version('feature-engine'))"
    return subprocess.run([str(python), "-c", asked], check=True, capture_output=True, text=True).stdout.strip()


def _lines(job: Job, pair: Pair, place: Path, learnt: pl.DataFrame, scored: pl.DataFrame) -> list[tuple[str, ...]]:
    """One line of the table for each column."""
    transforms = _declared(pair)
    feature_set, label = job.features().FEATURE_SET, learnt["label"]
    days = job.horizon_days + job.label_delay_days
    fitted = fit(learnt.drop("label"), feature_set, transforms, key=job.key, labels=label, matures_days=days)
    training, month = apply(learnt.drop("label"), fitted), apply(scored, fitted)
    reverse = apply(scored.reverse(), fitted).reverse()
    their_training, their_month, their_reverse = (
        pl.read_parquet(place / f"{pair.name}_{rows}.parquet") for rows in ("training", "scored", "reversed")
    )
    lines = []
    for ours, theirs in pair.columns:
        codes = _codes(fitted, ours)
        one, two = (_numbers(each[ours]) for each in (training, month))
        other, another = (_like(each[theirs], codes) for each in (their_training, their_month))
        lines.append(
            (
                f"{pair.name}: {ours}",
                f"{_agree(one, other):,}",
                f"{_furthest(one, other):.3g}",
                f"{_agree(two, another):,}",
                f"{_furthest(two, another):.3g}",
                f"{month.height - _agree(two, _numbers(reverse[ours])):,}",
                f"{month.height - _agree(another, _like(their_reverse[theirs], codes)):,}",
            )
        )
    return lines


def _quantiles(job: Job, place: Path, learnt: pl.DataFrame) -> str:
    """Of how many numeric features what is learnt differs."""
    feature_set, theirs = job.features().FEATURE_SET, json.loads((place / "learnt.json").read_text())
    said = []
    for what, transform, place_of in (
        ("median", MedianImputation, None),
        ("low", Winsorising, 0),
        ("high", Winsorising, 1),
    ):
        names = tuple(name for name in theirs[what] if name in feature_set.names)
        state = fit(learnt.drop("label"), feature_set, (transform(names),)).states[0]
        ours = {name: found[place_of] if isinstance(found, tuple) else found for name, found in state.by_column.items()}
        apart = [abs(ours[name] - theirs[what][name]) for name in names if ours[name] != theirs[what][name]]
        share = {"median": "medians", "low": "quantiles 0.01", "high": "quantiles 0.99"}[what]
        said.append(f"{share} differ in {len(apart)} of {len(ours)}, by at most {max(apart, default=0):.3g}")
    return f"Over all numeric features, {'; '.join(said)}."


def _draws() -> str:
    """What a million draws cost, in CPU seconds, by whole numbers and days, and by texts that are all different."""
    rows = pl.DataFrame({"number": range(_DRAWS)}).with_columns(
        day=pl.date(2013, 9, 1), text=pl.format("N{}", "number"), carrier=pl.lit("UA")
    )
    costs = []
    for key in (("day", "carrier", "number"), ("text",)):
        began = time.process_time()
        drawn(rows, key, 7, "wind_gust_mph")
        costs.append(time.process_time() - began)
    return (
        f"{_DRAWS:,} draws took {costs[0]:.2f} CPU seconds by a key of day, carrier and number, and {costs[1]:.2f} by "
        "one of as many different texts."
    )


def _declared(pair: Pair) -> Sequence[Transform]:
    if pair.name == "constant":
        return ConstantImputation(NUMBERS[:1], -1), ConstantImputation(NUMBERS[1:], -1.0)
    return (pair.ours,) if pair.ours else ()


def _numbers(column: pl.Series) -> pl.Series:
    return column.cast(pl.Float64)


def _codes(fitted: Fitted, column: str) -> dict[str, float]:
    """Label to code, where ours leaves text that becomes codes."""
    last = fitted.states[-1]
    labels = last.by_column.get(column, ()) if isinstance(last.transform, Codes) else ()
    return {str(label): float(code) for code, label in enumerate(labels)} if isinstance(labels, tuple) else {}


def _like(column: pl.Series, codes: dict[str, float]) -> pl.Series:
    """Theirs as numbers: what is text still becomes the code that ours gives to the same text."""
    if column.dtype in {pl.String, pl.Categorical}:
        return column.cast(pl.String).replace_strict(codes, default=None, return_dtype=pl.Float64)
    return _numbers(column.fill_nan(None) if column.dtype.is_float() else column)


def _agree(one: pl.Series, other: pl.Series) -> int:
    return int(one.eq_missing(other).sum())


def _furthest(one: pl.Series, other: pl.Series) -> float:
    most = (one - other).abs().max()
    return most if isinstance(most, float) else 0.0


if __name__ == "__main__":
    main()
