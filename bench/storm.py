"""A storm: whole nights are killed at random instants, while analysts query the scores and check every answer.

    python bench/storm.py --kills 1000 --readers 2

Real flights of seven small carriers, few days of them, so that a night takes less than a second. After the kill (many
nights are killed again and again, some are missed) the next `score run` must need nobody, and leave byte for byte what
a home has in which nothing went wrong. Ends by itself, at the latest after --minutes; exit 1 if anything was lost, or
seen half done.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    from collections.abc import Callable

from jobs.warehouse.sample import load_sample  # noqa: E402
from tests import postgres  # noqa: E402
from tests.conftest import TRAINED_AS_OF, reduce_to_small  # noqa: E402
from tests.faults.place import Place, shorten  # noqa: E402
from tests.faults.storm import STATES, Site, Storm, nights_after, storm  # noqa: E402

FIRST, NIGHTS = "2013-04-11", 20


def main() -> int:
    """Make a place, let the storm go over it, print what came of it."""
    wanted = _arguments()
    with tempfile.TemporaryDirectory(prefix="storm-") as folder:
        found = storm(
            prepare(Path(folder), on_server=wanted.warehouse == "postgresql"),
            wanted.kills,
            wanted.readers,
            wanted.seed,
            wanted.minutes * 60,
        )
    _print(found, wanted.seed)
    whole = not (found.helpless or found.lost or found.answers.lost or found.answers.partial)
    return 0 if whole and found.kills == wanted.kills else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000, help="how many processes are killed (default: 1000)")
    parser.add_argument(
        "--readers", type=int, default=2, help="analysts; every other holds its connection (default: 2)"
    )
    parser.add_argument("--seed", type=int, default=4, help="of the instants (default: 4)")
    parser.add_argument("--minutes", type=float, default=60.0, help="ends then at the latest (default: 60)")
    parser.add_argument(
        "--warehouse", choices=["duckdb", "postgresql"], default="duckdb", help="which engine (default: duckdb)"
    )
    return parser.parse_args()


def prepare(folder: Path, *, on_server: bool = False) -> Site:
    """A home with a model and one published night, over few days of flights, in a file or on a PostgreSQL server."""
    warehouse, home = folder / "warehouse.duckdb", folder / "begun"
    load_sample(warehouse)
    with duckdb.connect(str(warehouse)) as con:
        reduce_to_small(con)
    place = Place(home, f"duckdb:///{warehouse}", folder)
    place.run("train", "flight_delay", "--as-of", TRAINED_AS_OF)
    shorten(warehouse)
    place.run("run", "--as-of", FIRST)
    return Site(home, on_a_server(warehouse) if on_server else place.warehouse, nights_after(FIRST, NIGHTS), folder)


def on_a_server(warehouse: Path) -> Callable[[str], str]:
    """A PostgreSQL server with the rows of a file; gives the URL of a database with a copy of them."""
    server = postgres.start()
    postgres.copy_file(warehouse, server.make("storm"))
    return lambda name: server.make(f"storm_{name}", "storm")


def _print(found: Storm, seed: int) -> None:
    answers = found.answers
    print(f"seed {seed}, {found.seconds:.0f} s, {found.nights} nights finished")
    print(f"kills    {found.kills:>6,}  of them {found.fresh:,} of processes that were started from nothing")
    for each in STATES:
        print(f"         {found.hit[each]:>6,}  {each}")
    print(f"reads    {answers.reads:>6,}")
    print(f"lost     {len(found.lost) + len(answers.lost):>6,}")
    print(f"partial  {len(answers.partial):>6,}")
    print(f"helpless {len(found.helpless):>6,}")
    for said in [*found.helpless, *found.lost, *answers.lost, *answers.partial][:20]:
        print(said)


if __name__ == "__main__":
    sys.exit(main())
