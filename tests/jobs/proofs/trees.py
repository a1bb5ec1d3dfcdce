"""A copy of the source tree in which one thing is wrong, and the program that runs from it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.jobs.proofs.defects import Defect

ROOT = Path(__file__).resolve().parents[3]
ROOMS = ("features", "jobs", "models", "sql")
TRAINED_AS_OF, NIGHT = "2013-04-10", "2013-04-12"
_PROGRAM = f"""
import contextlib, io, json, sys
from jobs.cli import call

for command in (["release"], ["train", "flight_delay", "--as-of", "{TRAINED_AS_OF}"]):
    code = call(command)
    if code:
        sys.exit(print(f"refused: {{code}}"))
said = io.StringIO()
with contextlib.redirect_stdout(said):
    call(["prove", "--as-of", "{NIGHT}", "--json", *(part for name in sys.argv[1:] for part in ("--only", name))])
print("broken", ",".join(each["name"] for each in json.loads(said.getvalue())["proofs"] if not each["held"]), sep=": ")
"""


def seeded_tree(folder: Path, defect: Defect | None) -> Path:
    """The rooms as they are, but for the defect; changed SQL is released, unless that is the defect."""
    tree = folder / "tree"
    for room in ROOMS:
        shutil.copytree(ROOT / room, tree / room, ignore=shutil.ignore_patterns("__pycache__"))
    model = tree / "models" / "flight_delay.toml"
    model.write_text(model.read_text(encoding="utf-8").replace("rounds = 200", "rounds = 20"), encoding="utf-8")
    if defect is not None:
        defect.seed(tree)
        if defect.path.startswith("sql/") and defect.caught_by != "refused: 80":
            released = tree / "sql" / "flight_delay" / "released.txt"
            name = Path(defect.path).name
            kept = [line for line in released.read_text(encoding="utf-8").splitlines() if not line.endswith(name)]
            released.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
    return tree


def refused_or_broken(tree: Path, warehouse: Path, proofs: tuple[str, ...]) -> list[str]:
    """What notices the defect: `refused: CODE` if it cannot even be trained, else the names of proofs that broke."""
    home = {"SCORE_HOME": str(tree.parent / "home"), "SCORE_WAREHOUSE": f"duckdb:///{warehouse}"}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *proofs],
        env={**os.environ, **home, "PYTHONPATH": str(tree), "OMP_WAIT_POLICY": "passive"},
        cwd=tree.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    answer = done.stdout.splitlines()[-1] if done.stdout else ""
    assert answer.startswith(("refused: ", "broken: ")), done.stderr
    if answer.startswith("refused"):
        return [answer]
    return [name for name in answer.removeprefix("broken: ").split(",") if name]
