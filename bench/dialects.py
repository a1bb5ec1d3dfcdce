"""Random queries, asked of DuckDB and, as they are rendered, of a PostgreSQL server: equal, refused, never different.

    python bench/dialects.py --queries 5000 [--seed 1]

The server is the one whose URL stands in SCORE_TEST_POSTGRES, else one that is started from the package of the tests.
Prints how many queries went which way, and those that answered differently; exit 1 if there is one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from jobs.warehouse.addresses import read_server_address
from jobs.warehouse.servers.session import open_session
from tests import postgres
from tests.jobs.warehouse.servers.arbitrary import compare


def main() -> int:
    """Ask, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    url = postgres.start().make("arbitrary")
    with tempfile.TemporaryDirectory() as folder, open_session(read_server_address(url)) as session:
        version = session.rows("SHOW server_version")[0][0]
        found = compare(session, Path(folder), given.queries, given.seed)
    print(f"{given.queries} queries, seed {given.seed}, PostgreSQL {version}")
    for outcome, count in found.outcomes.most_common():
        print(f"{count:>8,}  {outcome}")
    print(*found.different, sep="\n")
    return 1 if found.different else 0


if __name__ == "__main__":
    sys.exit(main())
