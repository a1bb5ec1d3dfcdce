"""Reading a warehouse that is a DuckDB file: one moment, typed, its keys checked, refusals in one line."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pytest

from jobs.days import Calendar
from jobs.queries.check import Query, read_query
from jobs.warehouse.bounds import Bounds, bounds_of
from jobs.warehouse.duckdb_file import open_duckdb_file
from jobs.warehouse.extraction import KeyBroken, SourceDiffers, WarehouseMissing, WarehouseUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NEW_YORK, AS_OF = Calendar("America/New_York"), date(2013, 9, 1)
EVENTS = """\
-- grain: one version of one event
-- role: {role}
-- key: id, place
-- event time: happened_at
-- known time: known_at
-- known: appended
{lookback}
-- The remark names $start, $end, $cutoff and $nothing; none of these is a parameter.
SELECT
  CAST(id AS INTEGER) AS id,
  CAST(place AS VARCHAR) AS place,
  CAST(happened_at AS TIMESTAMPTZ) AS happened_at,
  CAST(value AS INTEGER) AS value,
  CAST(known_at AS TIMESTAMPTZ) AS known_at
FROM events
WHERE happened_at >= $start
  AND happened_at < $end
  AND known_at < $cutoff
ORDER BY id, place, known_at
"""
PLACES = """\
-- grain: one place
-- role: reference
-- key: place
-- known: none

-- not bounded by $cutoff
SELECT CAST(place AS VARCHAR) AS place
FROM places
ORDER BY place
"""
BOUNDS = Bounds(date(2013, 8, 2), AS_OF, AS_OF)
ROWS = """
    (1, 'JFK', TIMESTAMPTZ '2013-08-31 12:00:00+00', {0}, TIMESTAMPTZ '2013-08-31 14:00:00+00'),
    (1, 'LGA', TIMESTAMPTZ '2013-08-01 12:00:00+00', {0}, TIMESTAMPTZ '2013-08-01 14:00:00+00'),
    (2, 'JFK', TIMESTAMPTZ '2013-09-01 03:59:59+00', {0}, TIMESTAMPTZ '2013-09-01 03:59:59.999999+00'),
    (3, 'JFK', TIMESTAMPTZ '2013-08-31 12:00:00+00', {0}, TIMESTAMPTZ '2013-09-01 04:00:00+00'),
    (4, 'JFK', TIMESTAMPTZ '2013-09-01 04:00:00+00', {0}, TIMESTAMPTZ '2013-08-01 00:00:00+00')
"""


@pytest.fixture
def events(tmp_path: Path) -> Query:
    path = tmp_path / "events_v1.sql"
    path.write_text(EVENTS.format(role="history", lookback="-- lookback: 30 days\n"))
    return read_query(path)


@pytest.fixture
def warehouse(tmp_path: Path) -> Callable[[str], Path]:
    """A warehouse whose table of events is made by some SQL."""

    def make(text: str) -> Path:
        path = tmp_path / "warehouse.duckdb"
        with duckdb.connect(str(path)) as con:
            con.execute(text)
        return path

    return make


def events_of(rows: str = ROWS.format(7), columns: str = "id, place, happened_at, value, known_at") -> str:
    return f"CREATE TABLE events AS SELECT * FROM (VALUES {rows}) AS rows({columns})"


def read(path: Path, query: Query, bounds: Bounds = BOUNDS) -> tuple[int, pl.DataFrame]:
    """The count and the rows, as a snapshot takes them."""
    with open_duckdb_file(path, NEW_YORK, 1, path.parent) as extraction:
        counted = extraction.check_keys(query, bounds)
        return counted, pl.concat(extraction.rows(query, bounds))


def test_rows_within_the_bounds_come_with_their_days_in_total_order(
    warehouse: Callable[[str], Path], events: Query
) -> None:
    counted, rows = read(warehouse(events_of()), events)

    assert counted == 2
    assert rows.select("event_day", "visible_day", "id", "place").rows() == [
        (date(2013, 8, 31), date(2013, 9, 1), 1, "JFK"),
        (date(2013, 8, 31), date(2013, 9, 1), 2, "JFK"),
    ]
    assert rows.schema["known_at"] == pl.Datetime("us", "UTC")


def test_no_rows_have_the_columns_of_rows(warehouse: Callable[[str], Path], events: Query) -> None:
    """A night whose outcomes nobody knows yet is a table too."""
    path = warehouse(events_of())

    counted, none = read(path, events, Bounds(date(2012, 8, 2), date(2012, 9, 1), date(2012, 9, 1)))

    assert counted == 0
    assert none.schema == read(path, events)[1].schema
    assert none.is_empty()


def test_a_reference_has_no_days_and_a_parameter_in_a_remark_is_none(
    warehouse: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "places_v1.sql").write_text(PLACES)
    path = warehouse("CREATE TABLE places AS SELECT * FROM (VALUES ('LGA'), ('JFK')) AS rows(place)")

    counted, rows = read(path, read_query(tmp_path / "places_v1.sql"), Bounds(None, None, AS_OF))

    assert counted == 2
    assert rows.rows() == [(None, None, "JFK"), (None, None, "LGA")]
    assert list(rows.schema.values()) == [pl.Date(), pl.Date(), pl.String()]


def test_versions_of_a_row_are_no_repetition(warehouse: Callable[[str], Path], events: Query) -> None:
    row = "(1, 'JFK', TIMESTAMPTZ '2013-08-31 12:00:00+00', {}, TIMESTAMPTZ '2013-08-31 {}:00:00+00')"

    assert read(warehouse(events_of(f"{row.format(1, 14)}, {row.format(2, 15)}")), events)[0] == 2


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ("(1, 'JFK', TIMESTAMPTZ '2013-08-31 12:00:00+00', 2, TIMESTAMPTZ '2013-08-31 14:00:00+00')",
         r"of 2 rows 0 have a null in the key \(id, place\), 1 keys occur more than once, 0 keys have versions"),
        ("(1, NULL, TIMESTAMPTZ '2013-08-31 12:00:00+00', 2, TIMESTAMPTZ '2013-08-31 14:00:00+00')",
         "of 2 rows 1 have a null"),
        ("(1, 'JFK', TIMESTAMPTZ '2013-08-31 13:00:00+00', 2, TIMESTAMPTZ '2013-08-31 15:00:00+00')",
         "0 keys occur more than once, 1 keys have versions at different event times"),
    ],
    ids=["repeated", "null", "moving"],
)  # fmt: skip
def test_broken_keys_are_refused_with_counts(
    warehouse: Callable[[str], Path], events: Query, second: str, said: str
) -> None:
    first = "(1, 'JFK', TIMESTAMPTZ '2013-08-31 12:00:00+00', 1, TIMESTAMPTZ '2013-08-31 14:00:00+00')"

    with pytest.raises(KeyBroken, match=rf"events_v1\.sql: .*{said}"):
        read(warehouse(events_of(f"{first}, {second}")), events)


@pytest.mark.parametrize("value", ["'secret'", "99999999999", "[1]", "'secret'::BLOB", "{'secret': 1}"])
def test_a_value_without_a_place_in_its_type_is_refused_and_not_repeated(
    warehouse: Callable[[str], Path], events: Query, value: str
) -> None:
    with pytest.raises(SourceDiffers, match=r"events_v1\.sql: a value has no place in .*: value;") as refused:
        read(warehouse(events_of(ROWS.format(value))), events)

    assert "secret" not in str(refused.value)


def test_a_value_that_is_wrong_in_the_last_of_many_rows_is_refused(
    warehouse: Callable[[str], Path], events: Query
) -> None:
    """No batch before it may have been taken for all there is."""
    path = warehouse("""
        CREATE TABLE events AS SELECT i AS id, 'JFK' AS place, TIMESTAMPTZ '2013-08-31 12:00:00+00' AS happened_at,
            CASE WHEN i = 299999 THEN 'x' ELSE '1' END AS value, TIMESTAMPTZ '2013-08-31 12:00:00+00' AS known_at
        FROM range(300000) AS numbers(i)
    """)

    with pytest.raises(SourceDiffers):
        read(path, events)


@pytest.mark.parametrize("columns", ["id, place, happened_at, worth, known_at", "id, place, hour, value, known_at"])
def test_a_missing_column_is_named(warehouse: Callable[[str], Path], events: Query, columns: str) -> None:
    missing = "value" if "worth" in columns else "happened_at"

    with pytest.raises(SourceDiffers, match=rf"events_v1\.sql: .*{missing}"):
        read(warehouse(events_of(columns=columns)), events)


def test_a_missing_table_is_named(warehouse: Callable[[str], Path], events: Query) -> None:
    with pytest.raises(SourceDiffers, match=r"events_v1\.sql: .*Table with name events does not exist"):
        read(warehouse("CREATE TABLE other (id INTEGER)"), events)


def test_columns_in_another_order_and_more_of_them_change_nothing(
    warehouse: Callable[[str], Path], events: Query, tmp_path: Path
) -> None:
    wanted = read(warehouse(events_of()), events)[1]
    (tmp_path / "warehouse.duckdb").unlink()
    path = warehouse(
        f"{events_of()}; CREATE TABLE more AS SELECT 1 AS a, known_at, value, place, id, happened_at FROM events; "
        "DROP TABLE events; ALTER TABLE more RENAME TO events"
    )

    assert read(path, events)[1].equals(wanted)


def test_a_missing_warehouse_says_how_to_make_one(tmp_path: Path, events: Query) -> None:
    with pytest.raises(WarehouseMissing, match=r"there is no warehouse at .*set SCORE_WAREHOUSE, or make one"):
        read(tmp_path / "nowhere.duckdb", events)


@pytest.mark.parametrize("content", [b"", b"nonsense" * 2_000], ids=["empty", "nonsense"])
def test_what_is_no_database_is_not_said_to_be_locked(tmp_path: Path, events: Query, content: bytes) -> None:
    (tmp_path / "locked").mkdir()
    path = tmp_path / "locked" / "clocks.duckdb"
    path.write_bytes(content)

    with pytest.raises(WarehouseMissing, match="is no DuckDB file"):
        read(path, events)


def test_a_warehouse_that_this_process_writes_is_unavailable(warehouse: Callable[[str], Path], events: Query) -> None:
    """As in a notebook that left its connection open."""
    path = warehouse(events_of())

    with duckdb.connect(str(path)), pytest.raises(WarehouseUnavailable, match="cannot be opened"):
        read(path, events)


def test_nothing_can_be_written_and_nothing_is_fetched(warehouse: Callable[[str], Path]) -> None:
    path = warehouse(events_of())

    with open_duckdb_file(path, NEW_YORK, 1, path.parent) as extraction:
        assert extraction.con.execute("SELECT current_setting('autoinstall_known_extensions')").fetchone() == (False,)
        with pytest.raises(duckdb.Error, match="read-only"):
            extraction.con.execute("DELETE FROM events")


@pytest.mark.parametrize(
    ("role", "scoring", "training"),
    [
        ("history", (date(2013, 8, 2), AS_OF), (date(2013, 5, 2), AS_OF)),
        ("population", (AS_OF, date(2013, 9, 3)), (date(2013, 6, 1), AS_OF)),
        ("labels", None, (date(2013, 6, 1), AS_OF)),
    ],
)
def test_the_bounds_of_a_role_are_half_open_and_as_the_design_says(
    tmp_path: Path, role: str, scoring: tuple[date, date] | None, training: tuple[date, date]
) -> None:
    path = tmp_path / "events_v1.sql"
    path.write_text(EVENTS.format(role=role, lookback="-- lookback: 30 days\n" if role == "history" else ""))
    query = read_query(path)

    assert bounds_of(query, AS_OF, AS_OF, 2) == (Bounds(*scoring, AS_OF) if scoring else None)
    assert bounds_of(query, AS_OF, date(2013, 6, 1), 2) == Bounds(*training, AS_OF)


def test_a_reference_is_bounded_by_the_cutoff_alone(tmp_path: Path) -> None:
    (tmp_path / "places_v1.sql").write_text(PLACES)
    query = read_query(tmp_path / "places_v1.sql")

    assert (
        bounds_of(query, AS_OF, date(2013, 6, 1), 1) == bounds_of(query, AS_OF, AS_OF, 1) == Bounds(None, None, AS_OF)
    )
    assert set(Bounds(None, None, AS_OF).parameters(NEW_YORK)) == {"cutoff"}
    assert set(BOUNDS.parameters(NEW_YORK)) == {"start", "end", "cutoff"}
