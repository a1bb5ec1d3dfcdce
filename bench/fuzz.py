"""Nonsense, at random, fed to the program; damaged models; flipped bits.

    python bench/fuzz.py --inputs 10000     arguments, dates, names, ids, queries, variables, documents, TOML, SQL
    python bench/fuzz.py --models 10000     damaged and replaced model versions: none may reach LightGBM
    python bench/fuzz.py --bits 10000       flipped bits in the store: each is found, none is published from

In this process, on a small home of real flights. Prints what was tried and the exit codes; ends with 1 if anything
ended otherwise than the documented table, one line on stderr and one JSON document say.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.storm import prepare  # noqa: E402
from tests.faults.fuzzing import Fuzzed, fuzz_bits, fuzz_inputs, fuzz_models  # noqa: E402
from tests.faults.place import Place  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> int:
    """Try what was asked for, print what came of it."""
    wanted = _arguments()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        site = prepare(folder)
        place = Place(site.begun, site.url("fuzz"), folder)
        (folder / "outside").mkdir()
        whole = [
            _tried("inputs", lambda: fuzz_inputs(place, folder / "outside", wanted.inputs, wanted.seed)),
            _tried("models", lambda: fuzz_models(place, wanted.models, wanted.seed)),
            _tried("bits", lambda: fuzz_bits(place, wanted.bits, wanted.seed, asked=wanted.bits // 50)),
        ]
    return 0 if all(whole) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=0, help="so many inputs (default: none)")
    parser.add_argument("--models", type=int, default=0, help="so many damaged models (default: none)")
    parser.add_argument("--bits", type=int, default=0, help="so many flipped bits (default: none)")
    parser.add_argument("--seed", type=int, default=4, help="of the nonsense (default: 4)")
    return parser.parse_args()


def _tried(what: str, work: Callable[[], Fuzzed]) -> bool:
    began = time.monotonic()
    found = work()
    if found.kinds:
        print(f"{what}: {sum(found.kinds.values()):,} in {time.monotonic() - began:.0f} s, wrong: {len(found.wrong)}")
        print("  " + ", ".join(f"{kind} {count:,}" for kind, count in sorted(found.kinds.items())))
        print("  exit codes: " + ", ".join(f"{code}: {count:,}" for code, count in sorted(found.codes.items())))
    for said in found.wrong[:20]:
        print(f"  {said}")
    return not found.wrong


if __name__ == "__main__":
    sys.exit(main())
