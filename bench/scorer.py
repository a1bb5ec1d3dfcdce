"""What the kernel saves against LightGBM's `predict`, and whether it gives the same bits.

    python bench/scorer.py                 the ratios
    python bench/scorer.py --cold          from how many rows on it is worth starting, in fresh processes
    python bench/scorer.py --equality 500  so many generated models with hard values, compared bit by bit

Ratios are of medians of seven rounds in one process, both engines in turn in each round, from a Polars frame to raw
scores, in CPU seconds of the process (one thread) or on the clock (two threads), with the smallest and the largest
ratio of a round. Both engines get the same 32,768 rows that no tree has seen; half of the columns are integers, some
hold gaps. "from frame" counts what each needs to read a frame: the row-major matrix there, columns and codes here;
"from floats" gives each what it reads fastest. `--cold` takes the clock from a loaded model to scores, with what was
compiled kept (and once without), and says which engine the rule chooses.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before LightGBM is imported
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import lightgbm  # noqa: E402
import numpy as np  # noqa: E402
import polars as pl  # noqa: E402

from models.booster import canonical  # noqa: E402
from models.kernel.choice import KERNEL, LIGHTGBM  # noqa: E402
from models.scorer import Model  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.booster import Floats

TREES, TRAINED, SCORED, ROUNDS = 300, 60_000, 32_768, 7
COLD_ROWS = (20_000, 50_000, 100_000, 200_000, 400_000)
CATEGORIES = (16, 100, 3, 400)


def main() -> int:
    """Do what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--equality", type=int, default=0, metavar="N", help="compare so many generated models")
    parser.add_argument("--seed", type=int, default=1, help="of the first of them (default: 1)")
    parser.add_argument("--cold", action="store_true", help="measure in fresh processes")
    parser.add_argument("--once", nargs=3, help=argparse.SUPPRESS, metavar=("FOLDER", "ENGINE", "ROWS"))
    told = parser.parse_args()
    if told.equality:
        return equality(told.equality, told.seed)
    if told.once:
        return once(Path(told.once[0]), told.once[1], int(told.once[2]))
    return cold() if told.cold else ratios()


def frame_of(rows: int, features: int, categorical: int, seed: int) -> pl.DataFrame:
    """So many rows: shares, counts, hours, tenths, a tenth of every fifth column missing; the last are codes."""
    draw = np.random.default_rng(seed)
    columns: dict[str, pl.Series] = {}
    for place in range(features - categorical):
        kinds = (
            draw.normal(size=rows),
            draw.integers(0, 900, rows).astype(np.int32),
            draw.integers(0, 24, rows).astype(np.int16),
            np.round(draw.normal(size=rows), 1),
        )
        column = pl.Series(kinds[place % 4])
        columns[f"f{place}"] = column.set(pl.Series(draw.random(rows) < 0.1), None) if place % 5 == 0 else column
    for place in range(categorical):
        columns[f"c{place}"] = pl.Series(draw.integers(0, CATEGORIES[place % 4], rows).astype(np.int32))
    return pl.DataFrame(columns)


def matrix_of(frame: pl.DataFrame) -> Floats:
    """As `models.matrix` does it."""
    floats = frame.select(pl.all().cast(pl.Float64).fill_null(float("nan")))
    return np.ascontiguousarray(floats.to_numpy(), dtype=np.float64)


def model_of(leaves: int, features: int, categorical: int) -> Model:
    """A model of a signal in which every column has a part."""
    frame = frame_of(TRAINED, features, categorical, seed=1)
    matrix, draw = matrix_of(frame), np.random.default_rng(2)
    spread = np.nan_to_num(matrix / np.nanstd(matrix, axis=0))
    signal = np.sin(spread * draw.uniform(0.5, 3, features)) @ draw.normal(size=features) / np.sqrt(features)
    signal += draw.normal(size=TRAINED) / 2
    codes = list(range(features - categorical, features))
    told = {"objective": "binary", "num_leaves": leaves, "verbosity": -1, "num_threads": 2, "force_row_wise": True}
    data = lightgbm.Dataset(matrix, signal > 0, feature_name=frame.columns, categorical_feature=codes, params=told)
    text = lightgbm.train(told, data, TREES).model_to_string(num_iteration=-1)
    return Model.load(canonical(text), tuple(frame.columns))


def ratios() -> int:
    """One line a model: how many times the kernel's time `predict` takes."""
    print(f"{TREES} trees, {SCORED:,} rows; x: time of predict / time of the kernel, median (smallest to largest)")
    print(f"{'leaves':>6}{'features':>9}{'codes':>6}{'predict us/row':>15}{'kernel us/row':>14}", end="")
    print(f"{'x from frame, 1 thread':>27}{'x from floats, 1 thread':>27}{'x from frame, 2 threads':>27}")
    for leaves, features, codes in (
        *((31, 30, 0), (63, 30, 0), (127, 30, 0), (255, 30, 0), (1023, 30, 0)),
        *((31, 30, 2), (63, 30, 2), (255, 30, 2), (31, 30, 4), (31, 170, 0)),
    ):
        _ratio_line(model_of(leaves, features, codes), (leaves, features, codes))
    return 0


def _ratio_line(model: Model, told: tuple[int, int, int]) -> None:
    frame = frame_of(SCORED, told[1], told[2], seed=3)
    matrix, floats = matrix_of(frame), [np.array(column) for column in matrix_of(frame).T]
    theirs, ours = model.only(LIGHTGBM), model.only(KERNEL)

    def from_floats() -> Floats:
        return model.kernel.scores(lambda at, start, stop: floats[at][start:stop], SCORED, 1, SCORED)

    rounds: list[dict[str, float]] = []
    for place in range(ROUNDS + 1):
        found = {
            "theirs": _timed(lambda: theirs.raw_scores(frame, threads=1), time.process_time),
            "ours": _timed(lambda: ours.raw_scores(frame, threads=1), time.process_time),
            "theirs from floats": _timed(lambda: theirs.raw_of(matrix, 1), time.process_time),
            "ours from floats": _timed(from_floats, time.process_time),
            "theirs by two": _timed(lambda: theirs.raw_scores(frame, threads=2), time.perf_counter),
            "ours by two": _timed(lambda: ours.raw_scores(frame, threads=2), time.perf_counter),
        }
        rounds += [found] if place else []  # the first one compiles, and fills the caches
    if theirs.raw_scores(frame).tobytes() != ours.raw_scores(frame).tobytes():
        raise SystemExit("the engines differ")
    said = "".join(f"{_ratio(rounds, what):>27}" for what in ("", " from floats", " by two"))
    each = [statistics.median(r[name] for r in rounds) / SCORED * 1e6 for name in ("theirs", "ours")]
    print(f"{told[0]:>6}{told[1]:>9}{told[2]:>6}{each[0]:>15.2f}{each[1]:>14.3f}{said}", flush=True)


def _timed(work: Callable[[], object], clock: Callable[[], float]) -> float:
    began = clock()
    work()
    return clock() - began


def _ratio(rounds: list[dict[str, float]], what: str) -> str:
    theirs, ours = [r["theirs" + what] for r in rounds], [r["ours" + what] for r in rounds]
    each = [one / other for one, other in zip(theirs, ours, strict=True)]
    return f"{statistics.median(theirs) / statistics.median(ours):.1f} ({min(each):.1f} to {max(each):.1f})"


def cold() -> int:
    """One line a number of rows: seconds from a loaded model to scores, each in three fresh processes."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for leaves in (31, 255):
            (place / f"{leaves}.txt").write_text(model_of(leaves, 30, 0).kernel._text)  # noqa: SLF001
        frame_of(max(COLD_ROWS), 30, 0, seed=3).write_parquet(place / "rows.parquet")
        print(f"{'leaves':>6}{'rows':>9}{'predict s':>11}{'kernel s':>10}{'compiled anew s':>17}  the rule takes")
        for leaves in (31, 255):
            for rows in COLD_ROWS:
                _cold_line(place, leaves, rows)
    return 0


def _cold_line(place: Path, leaves: int, rows: int) -> None:
    seconds: dict[str, list[float]] = {"": [], LIGHTGBM: [], KERNEL: []}
    chosen = ""
    for _ in range(3):
        for engine, past in seconds.items():
            told = [sys.executable, __file__, "--once", str(place / f"{leaves}.txt"), engine, str(rows)]
            said = subprocess.run(told, check=True, capture_output=True, text=True).stdout.split(maxsplit=1)
            past.append(float(said[0]))
            chosen = said[1].strip() if not engine else chosen
    with tempfile.TemporaryDirectory() as empty:
        told = [sys.executable, __file__, "--once", str(place / f"{leaves}.txt"), KERNEL, str(rows)]
        kept = {**os.environ, "NUMBA_CACHE_DIR": empty}
        anew = float(subprocess.run(told, check=True, capture_output=True, text=True, env=kept).stdout.split()[0])
    median = {engine: statistics.median(past) for engine, past in seconds.items()}
    print(f"{leaves:>6}{rows:>9,}{median[LIGHTGBM]:>11.2f}{median[KERNEL]:>10.2f}{anew:>17.2f}  {chosen}", flush=True)


def once(text: Path, engine: str, rows: int) -> int:
    """Seconds for so many rows by one engine, in this process; an empty engine is whichever the rule takes."""
    frame = pl.read_parquet(text.parent / "rows.parquet", n_rows=rows)
    model = Model.load(text.read_text(), tuple(frame.columns))
    one = model.only(engine) if engine else model
    seconds = _timed(lambda: one.raw_scores(frame, threads=1), time.perf_counter)
    print(seconds, one.engine_for(rows))
    return 0


def equality(models: int, seed: int) -> int:
    """Compare so many models, one line for each that differs; says which kinds there were."""
    from tests.models.kernel.generated import any_model, by_kernel, by_lightgbm, hard_values, plan  # noqa: PLC0415

    differing, values = 0, 0
    for drawn in range(seed, seed + models):
        text, said = any_model(drawn)
        matrix = hard_values(np.random.default_rng(drawn), text, 1500)
        expected, found = by_lightgbm(text, matrix), by_kernel(plan(text), matrix, threads=1 + drawn % 2)
        values += expected.size
        if expected.tobytes() != found.tobytes():
            differing += 1
            print(f"seed {drawn} differs: {said}")
    print(f"{models} models from seed {seed}, {values:,} raw scores: {differing} models differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
