"""Writing a million scores to PostgreSQL: as the job does, as `psql` does by COPY, and row by row.

    python bench/score_tables.py [--rows 1000000]

The server is the one whose URL stands in SCORE_TEST_POSTGRES, else one that is started from the package of the tests.
All write the same rows into the same empty table, with its key and its index, in one transaction. executemany() gets a
fiftieth of the rows, and its time is counted fifty times.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import adbc_driver_postgresql.dbapi as driver

from jobs.definition import load_job
from jobs.warehouse.addresses import read_server_address
from jobs.warehouse.engine import connect
from jobs.warehouse.servers.score_tables import _BATCH_ROWS, _migrate, _require_table
from jobs.warehouse.servers.session import Session, open_session
from tests import postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

TABLE = "scores.flight_delay_history"
PART = 50
ROWS = """
SELECT DATE '2013-09-01' AS flight_date, chr(65 + (i % 26)::INT) AS carrier, i::INTEGER AS flight, 'JFK' AS origin,
  DATE '2013-09-01' AS as_of, hash(i) / 18446744073709551616.0 AS score, hash(i + 1) / 1e19 AS raw_score,
  i::BIGINT AS rank, '2013-09-01-0123456789ab' AS model_version, '0123456789abcdef0123456789abcdef' AS run_id,
  TIMESTAMPTZ '2013-09-01 04:00:00+00' AS scored_at
FROM range({rows}) AS numbers (i) ORDER BY hash(i)
"""


def main() -> None:
    """Write them three ways, print the seconds and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    count = parser.parse_args().rows
    url = postgres.start().make("score_tables")
    with tempfile.TemporaryDirectory() as folder, connect() as con, open_session(read_server_address(url)) as session:
        file = Path(folder) / "scores.parquet"
        con.execute(f"COPY ({ROWS.format(rows=count)}) TO '{file}'")
        rows = con.sql(f"FROM '{file}'")
        seconds = {
            "psql, COPY of text": by_psql(url, session, rows, Path(folder)),
            "score": by_us(session, rows),
            "executemany": by_row(url, session, rows.limit(count // PART)) * PART,
        }
        again = by_us(session, rows)
    copy_s = seconds["psql, COPY of text"]
    for name, taken in {**seconds, "score, again": again}.items():
        print(f"{name:<20}{taken:>8.2f} s  {count / taken:>10,.0f} rows/s  {taken / copy_s:>7.2f} x COPY")


@contextmanager
def empty_table(session: Session, rows: duckdb.DuckDBPyRelation) -> Iterator[None]:
    """The job's table without rows; afterwards, that they arrived."""
    session.run("DROP SCHEMA IF EXISTS scores CASCADE")
    _migrate(session)
    columns = [(name, str(kind)) for name, kind in zip(rows.columns, rows.types, strict=True)]
    _require_table(session, load_job("flight_delay"), columns)
    yield
    expected = rows.count("*").fetchall()[0][0]
    if session.rows(f"SELECT count(*) FROM {TABLE}") != [(expected,)]:
        raise SystemExit("rows are missing")


def by_us(session: Session, rows: duckdb.DuckDBPyRelation) -> float:
    """Seconds by the path of `score run`."""
    with empty_table(session, rows):
        began = time.perf_counter()
        with session.transaction():
            session.insert("scores", "flight_delay_history", rows.to_arrow_reader(_BATCH_ROWS))
        return time.perf_counter() - began


def by_psql(url: str, session: Session, rows: duckdb.DuckDBPyRelation, folder: Path) -> float:
    """Seconds by the server's own client, of a file that is there already."""
    file = folder / "scores.csv"
    rows.write_csv(str(file), header=False)
    client = shutil.which("psql") or str(next(Path(sys.prefix).rglob("pginstall18/bin/psql")))
    with empty_table(session, rows):
        began = time.perf_counter()
        command = [client, url, "-qXv", "ON_ERROR_STOP=1", "-c", f"\\copy {TABLE} FROM '{file}' WITH (FORMAT csv)"]
        subprocess.run(command, check=True)
        return time.perf_counter() - began


def by_row(url: str, session: Session, rows: duckdb.DuckDBPyRelation) -> float:
    """Seconds by one INSERT a row, in one transaction."""
    marks = ", ".join(f"${place}" for place in range(1, len(rows.columns) + 1))
    values = rows.fetchall()
    with empty_table(session, rows):
        began = time.perf_counter()
        with driver.connect(url) as connection, connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {TABLE} VALUES ({marks})", values)
            connection.commit()
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
