"""The whole night against the script that keeps nothing: a million flights, ten million outcomes, side by side.

    python bench/whole_night.py --place /tmp/bench --entities 1000000 --leaves 31 --rounds 5 [--peers] [--write]
    python bench/whole_night.py --place /tmp/bench --scale 1000000 2500000 5000000

Makes (and keeps in --place, for the next call) the warehouse of `bench/workload.py` with a hundred days of outcomes,
the job `flights_ahead` of `bench/at_scale` in a private copy of the source tree, a model of 300 trees, and a home that
has scored the first night. Then every round runs, one after the other, as whole processes with all cores:

    first     `score run` of the first night, in a store without any object
    second    `score run` of the second night, after the warehouse went on: the steady state, every night from then on
    lean      `bench/lean.py` for the second night
    lean+ours the same, scoring with this project's scorer
    pandas    the same query, pandas, Booster.predict      (--peers)
    mlflow    the same query, pandas, mlflow.pyfunc        (--peers, in an environment of its own)
    feast     the same windows by Feast's join on DuckDB   (--peers, in another)

A counted run gets a fresh copy of the prepared home; files of the store are linked, since nothing changes them. Files
are read once before the first round, so that no one finds them colder than another. Ratios are medians of each
round's own, with the lowest and the highest. Scores of `second` and `lean` are compared, row by row.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.at_scale.tree import JOB, ROOMS, tree_with_job  # noqa: E402
from bench.measured import Cost, measure, medians, ratio  # noqa: E402
from bench.page import machine, table, write_section  # noqa: E402

SECOND, LEAN = "second", "lean"
OURS, THEIRS = ("first", SECOND), (LEAN, "lean+ours")
PEERS = ("pandas", "mlflow", "feast")
PHASES = ("model", "snapshot", "features", "score", "keep", "publish", "views")
FIRST_NIGHT = "2013-09-01"
SECOND_NIGHT = "2013-09-02"
TRAINED_ON = 100_000
WORKLOAD = ROOT / "bench" / "workload.py"
_NEEDS = {  # Arrow is of the version that they want
    "pandas": ("pandas", "pytz", "pyarrow"),
    "mlflow": ("mlflow>=3", "pandas", "pytz"),
    "feast": ("feast[duckdb]", "pandas", "pytz"),
}
_SAME = ("duckdb", "polars", "lightgbm", "numpy")


@dataclass(frozen=True, slots=True)
class Site:
    """Where everything lies that a measurement needs."""

    folder: Path
    tree: Path
    warehouses: tuple[Path, Path]
    trained: Path
    scored: Path
    model: Path

    @property
    def home(self) -> Path:
        """The home of the run that is being measured."""
        return self.folder / "home"

    def env(self, night: int) -> dict[str, str]:
        """The environment of a run of the first or the second night."""
        return {
            "PYTHONPATH": str(self.tree),
            "SCORE_HOME": str(self.home),
            "SCORE_WAREHOUSE": f"duckdb:///{self.warehouses[night]}",
            "OMP_WAIT_POLICY": "passive",
        }


def main() -> None:
    """Prepare, measure, print; write the page if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--place", type=_folder, required=True, help="a folder for what is prepared; 1 GB a million")
    parser.add_argument("--entities", type=int, default=1_000_000, help="of a night; the history is ten times as long")
    parser.add_argument("--leaves", type=int, default=31)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=(*OURS, *THEIRS, *PEERS), help="only these contenders")
    parser.add_argument("--peers", action="store_true", help="pandas, MLflow and Feast too")
    parser.add_argument("--scale", nargs="+", type=int, help="these numbers of entities, and how the cost grows")
    parser.add_argument("--write", action="store_true", help="write the section of docs/benchmarks.md")
    given = parser.parse_args()
    contenders = tuple(given.only or (*OURS, *THEIRS, *(PEERS if given.peers else ())))
    if given.scale:
        title, text = "How a night grows", scale(given.place, given.scale, given.leaves, given.rounds)
        name = f"scale_{given.leaves}"
    else:
        title = f"A whole night of {given.entities:,} entities, {given.leaves} leaves"
        text = whole_night(given.place, given.entities, given.leaves, given.rounds, contenders)
        name = f"whole_night_{given.entities}_{given.leaves}"
    command = f"    python bench/whole_night.py {' '.join(_told(sys.argv[1:]))}"
    section = f"{machine()}\n\n{command}\n\n{text}"
    print(f"{title}\n\n{section}")
    if given.write:
        write_section(name, title, section)


def whole_night(place: Path, entities: int, leaves: int, rounds: int, contenders: tuple[str, ...]) -> str:
    """Measure one size, and say what came of it."""
    site = prepare(place, entities, leaves)
    costs, phases = compare(site, rounds, contenders)
    parts = [_costs_table(costs), _phases_text(phases)]
    if SECOND in costs and LEAN in costs:
        parts.append(same_scores(site))
    return "\n\n".join(part for part in parts if part)


def scale(place: Path, sizes: list[int], leaves: int, rounds: int) -> str:
    """Measure the second night, and the lean script, at some sizes; fit how the cost of a row grows."""
    found = {}
    for size in sizes:
        found[size], _ = compare(prepare(place, size, leaves), rounds, (SECOND, LEAN))
        _forget(place / _name(size))
    rows = []
    for size in sizes:
        ours, lean = medians(found[size][SECOND]), medians(found[size][LEAN])
        middle, low, high = ratio(found[size][SECOND], found[size][LEAN])
        rows.append((
            f"{size:,}", f"{ours.seconds:.1f}", f"{1e6 * ours.seconds / size:.2f}", f"{ours.cpu_s:.1f}",
            f"{ours.peak_mb:,.0f}", f"{lean.seconds:.1f}", f"{lean.peak_mb:,.0f}",
            f"{middle:.2f} ({low:.2f}-{high:.2f})",
        ))  # fmt: skip
    head = ("entities", "s", "µs a row", "CPU s", "peak MB", "lean s", "lean peak MB", "second ÷ lean")
    said = [table(head, rows)]
    for figure in ("seconds", "cpu_s", "peak_mb"):
        points = [(size, getattr(medians(found[size][SECOND]), figure)) for size in sizes]
        said.append(f"`{figure}` of the second night grows with the entities to the power of {exponent(points):.3f}.")
    return "\n\n".join(said)


def exponent(points: list[tuple[int, float]]) -> float:
    """The slope of the least-squares line through the logarithms."""
    x, y = [math.log(size) for size, _ in points], [math.log(cost) for _, cost in points]
    return statistics.linear_regression(x, y).slope if len(points) > 1 else math.nan


def prepare(place: Path, entities: int, leaves: int, trees: int = 300) -> Site:
    """Make what is not there yet: warehouses, a model, and a home that has scored the first night with it.

    A home is of its source tree, for under other code it would have to prove itself first. The model is trained on no
    more than 100,000 flights a night: its trees are as many and as large, whatever it is trained on.
    """
    of_code = f"{trees}_trees_{leaves}_leaves_{_code_digest()[:12]}"
    learnt = place / "models" / f"{of_code}_{min(entities, TRAINED_ON)}"
    folder = place / _name(entities) / of_code
    site = Site(
        folder, learnt / "tree", _warehouses(place, entities), learnt / "trained", folder / "scored", learnt / "model"
    )
    if not site.model.exists():
        shutil.rmtree(learnt, ignore_errors=True)
        learnt.mkdir(parents=True)
        tree_with_job(learnt, leaves, trees)
        _train(replace(site, folder=learnt, warehouses=_warehouses(place, min(entities, TRAINED_ON))))
    if not site.scored.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _lay(site.trained, site.home)
        _make(folder, _nightly(FIRST_NIGHT), site.env(0), site.tree)
        site.home.rename(site.scored)
    return site


def _warehouses(place: Path, entities: int) -> tuple[Path, Path]:
    """The warehouse of the first night and the same of the second, made if they are not there yet."""
    folder = place / _name(entities)
    folder.mkdir(parents=True, exist_ok=True)
    first, second, building = (folder / f"{name}.duckdb" for name in ("night_1", "night_2", "building"))
    building.unlink(missing_ok=True)
    if not first.exists():
        _make(folder, (sys.executable, WORKLOAD, building, "--entities", str(entities)))
        building.rename(first)
    if not second.exists():
        shutil.copy(first, building)
        _make(folder, (sys.executable, WORKLOAD, building, "--advance"))
        building.rename(second)
    return first, second


def compare(
    site: Site, rounds: int, contenders: tuple[str, ...]
) -> tuple[dict[str, list[Cost]], dict[str, list[dict[str, int]]]]:
    """The costs of each contender, round by round, and the milliseconds of the phases of ours."""
    costs: dict[str, list[Cost]] = {name: [] for name in contenders}
    phases: dict[str, list[dict[str, int]]] = {name: [] for name in contenders if name in OURS}
    pythons = {name: _environment(site, name) for name in contenders if name in PEERS}
    for path in (*site.warehouses, *site.scored.rglob("*.parquet")):
        _read_once(path)
    for n in range(rounds):
        for name in contenders if n % 2 == 0 else reversed(contenders):
            cost, of_phases = _one(site, name, pythons.get(name, sys.executable))
            costs[name].append(cost)
            if of_phases:
                phases[name].append(of_phases)
            print(f"  {name:<10}{cost.seconds:8.2f} s{cost.cpu_s:8.2f} CPU s{cost.peak_mb:8.0f} MB", file=sys.stderr)
    return costs, phases


def same_scores(site: Site) -> str:
    """How the scores of our second night and of the lean script differ, in words."""
    import polars as pl  # noqa: PLC0415  late: the peak of a child counts from that of this process

    key = ["flight_date", "carrier", "flight", "origin"]
    second, lean = (pl.read_parquet(site.folder / f"{name}.parquet") for name in (SECOND, LEAN))
    both = second.join(lean, on=key, how="full", suffix="_lean")
    apart = (pl.col("raw_score") - pl.col("raw_score_lean")).abs()
    missing, other, far = both.select(
        pl.any_horizontal(pl.col("raw_score", "raw_score_lean").is_null()).sum().alias("missing"),
        (apart > 0).sum().alias("other"),
        (apart > 1e-6).sum().alias("far"),
    ).row(0)
    return (
        f"Of {both.height:,} rows, {missing:,} are missing in one of `second` and `lean`; {other:,} raw scores are not "
        f"the same bits, {far:,} differ by more than 1e-6."
    )


def _train(site: Site) -> None:
    """Train, and keep the home without the rows that it was trained on: a store that never saw one."""
    _make(site.folder, (sys.executable, "-m", "jobs", "train", JOB, "--as-of", FIRST_NIGHT), site.env(0), site.tree)
    site.home.rename(site.trained)
    for name in ("objects", "snapshots"):
        shutil.rmtree(site.trained / name)
        (site.trained / name).mkdir()
    _export(site)


def _export(site: Site) -> None:
    """The model's text and the codes of its text features, as files that a script can read."""
    from jobs.store.events import read_chain  # noqa: PLC0415  late: the peak of a child counts from that of this process
    from jobs.store.home import read_home  # noqa: PLC0415  the same
    from jobs.store.registry import read_model_texts, read_version  # noqa: PLC0415  the same

    home = read_home(site.trained)
    version = read_version(home, JOB, read_chain(home, JOB).champion(date.fromisoformat(FIRST_NIGHT)))
    making = site.folder / "model_being_made"
    making.mkdir()
    [text] = read_model_texts(home, version)
    (making / "model.txt").write_text(text, encoding="utf-8")
    (making / "codes.json").write_text(version.fitted, encoding="utf-8")
    making.rename(site.model)


def _one(site: Site, name: str, python: str) -> tuple[Cost, dict[str, int]]:
    """One contender's process, from a place that is as the last one found it."""
    if name not in OURS:
        out = site.folder / f"{name}.parquet"
        out.unlink(missing_ok=True)
        return measure(_other(site, name, python, out), {**site.env(1), "PYTHONPATH": str(site.tree)}, site.folder), {}
    night = OURS.index(name)
    _lay(site.scored if night else site.trained, site.home)
    log = site.folder / "log.jsonl"
    log.unlink(missing_ok=True)
    command = _nightly(SECOND_NIGHT if night else FIRST_NIGHT)
    cost = measure(command, {**site.env(night), "SCORE_LOG": str(log)}, site.folder, site.tree)
    if name == SECOND:
        (scores,) = (site.home / "runs" / JOB / SECOND_NIGHT).glob("*/scores.parquet")
        shutil.copy(scores, site.folder / f"{SECOND}.parquet")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return cost, {line["phase"]: line["ms"] for line in lines if line["event"] == "phase"}


def _other(site: Site, name: str, python: str, out: Path) -> tuple[str | Path, ...]:
    """The command of a contender that is not ours."""
    model, codes = site.model / "model.txt", site.model / "codes.json"
    if name == "feast":
        return python, ROOT / "bench" / "feast_peer.py", site.warehouses[1], SECOND_NIGHT, model, codes, out
    if name in PEERS:
        text = model.with_name("mlflow") if name == "mlflow" else model
        return python, ROOT / "bench" / "peers.py", name, site.warehouses[1], SECOND_NIGHT, text, codes, out
    ours = ("--scorer", "ours") if name != LEAN else ()
    return sys.executable, ROOT / "bench" / "lean.py", site.warehouses[1], SECOND_NIGHT, model, codes, out, *ours


def _environment(site: Site, name: str) -> str:
    """The interpreter of an environment with a peer and our libraries; for MLflow also the model as it saves it."""
    from importlib.metadata import version  # noqa: PLC0415  only here

    place = site.folder.parents[1] / f"environment_of_{name}"
    python = place / "bin" / "python"
    if not python.exists():
        subprocess.run(["uv", "venv", "-q", "--python", sys.executable, str(place)], check=True)
        same = [f"{library}=={version(library)}" for library in _SAME]
        subprocess.run(["uv", "pip", "install", "-q", "--python", str(python), *_NEEDS[name], *same], check=True)
    saved = site.model / "mlflow"
    if name == "mlflow" and not saved.exists():
        _make(site.folder, (python, ROOT / "bench" / "peers.py", "save", site.model / "model.txt", saved))
    return str(python)


def _lay(prepared: Path, home: Path) -> None:
    """A home as it was prepared, in its one place: objects are links, since they are written once, all else copies."""
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(
        prepared, home, copy_function=lambda a, b: os.link(a, b) if "/objects/" in a else shutil.copy2(a, b)
    )


def _costs_table(costs: dict[str, list[Cost]]) -> str:
    rows = []
    for name, of_name in costs.items():
        middle, seconds = medians(of_name), [cost.seconds for cost in of_name]
        rows.append((
            name, f"{middle.seconds:.1f} ({min(seconds):.1f}-{max(seconds):.1f})", f"{middle.cpu_s:.1f}",
            f"{middle.peak_mb:,.0f}", *(_against(costs, name, figure) for figure in ("seconds", "cpu_s")),
        ))  # fmt: skip
    return table(("process", "s (lowest-highest)", "CPU s", "peak MB", "s ÷ lean", "CPU ÷ lean"), rows)


def _against(costs: dict[str, list[Cost]], name: str, figure: str) -> str:
    """The ratio of one contender to the lean script, if that was measured."""
    return "{:.2f} ({:.2f}-{:.2f})".format(*ratio(costs[name], costs[LEAN], figure)) if LEAN in costs else ""


def _phases_text(phases: dict[str, list[dict[str, int]]]) -> str:
    rows = [
        (name, *(f"{statistics.median(each.get(phase, 0) for each in found) / 1000:.2f}" for phase in PHASES))
        for name, found in phases.items()
    ]
    return table(("seconds in the phase", *PHASES), rows) if rows else ""


def _make(
    folder: Path, command: tuple[str | Path, ...], env: dict[str, str] | None = None, cwd: Path | None = None
) -> None:
    print(f"making: {' '.join(str(part)[:60] for part in command)}", file=sys.stderr)
    cost = measure(command, {"PYTHONPATH": str(ROOT), **(env or {})}, folder, cwd)
    print(f"  in {cost.seconds:.0f} s, {cost.cpu_s:.0f} CPU s, {cost.peak_mb:,.0f} MB", file=sys.stderr)


def _nightly(night: str) -> tuple[str | Path, ...]:
    return sys.executable, "-m", "jobs", "run", "--as-of", night


def _folder(text: str) -> Path:
    return Path(text).resolve()


def _name(entities: int) -> str:
    return f"{entities}_entities"


def _code_digest() -> str:
    """SHA-256 over the files of the rooms and of the job."""
    rooms = [base / room for base in (ROOT, ROOT / "bench" / "at_scale") for room in ROOMS]
    files = sorted(
        path for room in rooms for path in room.rglob("*") if path.suffix in {".py", ".sql", ".toml", ".txt"}
    )
    said = hashlib.sha256()
    for path in files:
        said.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return said.hexdigest()


def _forget(folder: Path) -> None:
    """Give the disk back: the homes that runs have filled."""
    for home in folder.glob("*/home"):
        shutil.rmtree(home)


def _read_once(path: Path) -> None:
    with path.open("rb") as file:
        while file.read(1 << 24):
            pass


def _told(arguments: list[str]) -> list[str]:
    """The arguments as they are written down: the place is one of this machine."""
    place = arguments.index("--place") + 1
    return [*arguments[:place], "FOLDER", *(each for each in arguments[place + 1 :] if each != "--write")]


if __name__ == "__main__":
    main()
