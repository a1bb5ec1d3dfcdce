"""Seeded defects, each put to all proofs: which proofs notice it, and how many are caught at all.

    python bench/seeded_defects.py

The same copies of the source, and the same defects, as in tests/jobs/proofs; there each is put only to the proof that
should catch it. Real flights of seven small carriers; about ten minutes on two cores.
"""

from __future__ import annotations

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from jobs.warehouse.sample import load_sample  # noqa: E402
from tests.conftest import reduce_to_small  # noqa: E402
from tests.jobs.proofs.defects import DEFECTS, Defect  # noqa: E402
from tests.jobs.proofs.trees import refused_or_broken, seeded_tree  # noqa: E402


def main() -> None:
    """Print one line a defect, and how many were caught by the proof that should."""
    with tempfile.TemporaryDirectory() as folder:
        warehouse = Path(folder) / "warehouse.duckdb"
        load_sample(warehouse)
        with duckdb.connect(str(warehouse)) as con:
            reduce_to_small(con)
        with ThreadPoolExecutor(2) as pool:
            noticed = list(pool.map(partial(_notice, Path(folder), warehouse), DEFECTS))
    caught = 0
    for defect, names in zip(DEFECTS, noticed, strict=True):
        caught += defect.caught_by in names
        mark = "caught" if defect.caught_by in names else "MISSED"
        others = [name for name in names if name != defect.caught_by]
        also = f", also by {', '.join(others)}" if others else ""
        print(f"{mark}  {defect.name:<62} by {defect.caught_by}{also}")
    print(f"\ncaught {caught} of {len(DEFECTS)} seeded defects, each by the proof that should catch it")


def _notice(folder: Path, warehouse: Path, defect: Defect) -> list[str]:
    """Every proof that broke, or the refusal."""
    place = folder / str(DEFECTS.index(defect))
    place.mkdir()
    return refused_or_broken(seeded_tree(place, defect), warehouse, ())


if __name__ == "__main__":
    main()
