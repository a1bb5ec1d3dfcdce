"""A private copy of the source tree with the job `flights_ahead` in it, as a user adds a job: only its own files."""

from __future__ import annotations

import shutil
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ROOMS = ("features", "jobs", "models", "sql")
JOB = "flights_ahead"
_LEAVES, _TREES = "num_leaves = 31", "rounds = 300"


def tree_with_job(folder: Path, leaves: int, trees: int = 300) -> Path:
    """The rooms as they are, with the files of `flights_ahead` in place of those of the repository's own jobs."""
    tree = folder / "tree"
    for room in ROOMS:
        shutil.copytree(ROOT / room, tree / room, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(HERE / room, tree / room, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    for own in (ROOT / "jobs").glob("*.toml"):
        (tree / "jobs" / own.name).unlink()
    shutil.copy(ROOT / "uv.lock", tree)
    model = tree / "models" / f"{JOB}.toml"
    text = model.read_text(encoding="utf-8")
    for old, new in ((_LEAVES, f"num_leaves = {leaves}"), (_TREES, f"rounds = {trees}")):
        if text.count(old) != 1:
            raise SystemExit(f"{model.name} has not one line `{old}`; put it back")
        text = text.replace(old, new)
    model.write_text(text, encoding="utf-8")
    return tree
