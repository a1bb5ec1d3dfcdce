"""The digest of rows: the worked page, what it does not depend on, and what it does."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
import struct
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.days import Calendar
from jobs.queries.check import read_query
from jobs.store.digest import TypeNotEncodable, column_digest, polars_type, rows_digest, type_name
from jobs.store.documents import seal
from jobs.store.objects import FileSeal
from jobs.store.partitions import by_days
from jobs.store.runs import RunInputs
from jobs.store.snapshots import Partition, Snapshot, TableSnapshot
from jobs.warehouse.bounds import Bounds
from jobs.warehouse.duckdb_file import open_duckdb_file

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = (Path(__file__).parents[3] / "docs" / "digests.md").read_text(encoding="utf-8")

WORKED = pl.DataFrame(
    [
        pl.Series("landed", [True, None, False], dtype=pl.Boolean),
        pl.Series("i8", [-128, None, 127], dtype=pl.Int8),
        pl.Series("i16", [-2, None, 300], dtype=pl.Int16),
        pl.Series("i32", [-1, None, 65536], dtype=pl.Int32),
        pl.Series("i64", [-(2**63), None, 2**53 + 1], dtype=pl.Int64),
        pl.Series("u8", [255, None, 0], dtype=pl.UInt8),
        pl.Series("u16", [65535, None, 1], dtype=pl.UInt16),
        pl.Series("u32", [2**32 - 1, None, 2], dtype=pl.UInt32),
        pl.Series("u64", [2**64 - 1, None, 3], dtype=pl.UInt64),
        pl.Series("share", [1.5, None, -0.1], dtype=pl.Float64),
        pl.Series("odd", [-0.0, None, math.nan], dtype=pl.Float64),
        pl.Series("flight_date", [date(1969, 12, 31), None, date(2013, 9, 1)], dtype=pl.Date),
        pl.Series(
            "known_at",
            [datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), None, datetime(2013, 9, 1, 4, tzinfo=UTC)],
            dtype=pl.Datetime("us", "UTC"),
        ),
        pl.Series("fare", [Decimal("-1.50"), None, Decimal("12345678.90")], dtype=pl.Decimal(10, 2)),
        pl.Series("carrier", ["ü€", None, ""], dtype=pl.String),
    ]
)


def blocks(name: str) -> list[str]:
    """The fenced blocks of that name on the page."""
    return re.findall(rf"^```{name}\n(.*?)\n```$", PAGE, flags=re.DOTALL | re.MULTILINE)


def worked_columns() -> list[tuple[str, bytes, str]]:
    """Name, bytes and SHA-256 of each column as they stand on the page."""
    lines = blocks("columns")[0].splitlines()
    named = [line.split() for line in lines[::2]]
    return [
        (name, bytes.fromhex(validity + values), digest.strip())
        for (name, validity, values), digest in zip(named, lines[1::2], strict=True)
    ]


def sha256(content: bytes | str) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def test_the_page_is_right_by_itself() -> None:
    """An auditor with hashlib and the page, and nothing of ours, gets its digests."""
    columns = worked_columns()
    (header,), (rows,), (nothing,) = blocks("header"), blocks("rows"), blocks("nothing")

    assert len(columns) == 15
    assert [sha256(content) for _, content, _ in columns] == [digest for *_, digest in columns]
    assert (
        sha256(b"rescore rows 1\n" + header.encode() + b"\n" + b"".join(bytes.fromhex(d) for *_, d in columns)) == rows
    )
    assert sha256(b'rescore rows 1\n{"columns":[],"rows":0}\n') == nothing
    for text, digest in (block.splitlines() for name in ("table", "snapshot", "run") for block in blocks(name)):
        assert sha256(text)[: len(digest)] == digest


def test_the_rows_on_the_page_have_the_digests_on_the_page() -> None:
    (header,) = blocks("header")

    assert [(s.name, column_digest(s)) for s in WORKED] == [(name, digest) for name, _, digest in worked_columns()]
    assert [[s.name, type_name(s.dtype)] for s in WORKED] == json.loads(header)["columns"]
    assert rows_digest(WORKED) == blocks("rows")[0]
    assert rows_digest(pl.DataFrame()) == blocks("nothing")[0]


def test_the_table_of_cells_on_the_page_is_the_frame_of_this_test() -> None:
    cells = re.findall(r"^\| (\w+) \| ([\w(),]+) \| (.+) \| (.+) \| (.+) \|$", PAGE, flags=re.MULTILINE)
    shown = [(name, [first, second, third]) for name, _, first, second, third in cells if name in WORKED.columns]

    assert shown == [(s.name, [_as_on_the_page(value) for value in s]) for s in WORKED]


def _as_on_the_page(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    return json.dumps(value, ensure_ascii=False) if value is None or isinstance(value, str | bool) else str(value)


def test_table_snapshot_run_and_document_are_digested_as_on_the_page() -> None:
    rows = blocks("rows")[0]
    (table_text, table), (_, reference) = (block.splitlines() for block in blocks("table"))
    (snapshot_text, snapshot), (_, run_id) = blocks("snapshot")[0].splitlines(), blocks("run")[0].splitlines()
    columns = tuple((name, kind) for name, kind in json.loads(table_text)["columns"])
    day, next_day, as_of = date(2013, 8, 31), date(2013, 9, 1), date(2013, 9, 1)
    outcomes = _table("outcomes", columns, Partition(day, next_day, None, 3, rows, FileSeal("0" * 64, 1)))
    planes = _table("planes", columns, Partition(None, None, 7, 3, rows, FileSeal("1" * 64, 2)))

    assert (outcomes.digest, planes.digest) == (table, reference)
    assert Snapshot("flight_delay", as_of, as_of, "UTC", (planes, outcomes)).digest == snapshot
    assert json.loads(snapshot_text)["tables"] == {"outcomes": table, "planes": reference}
    inputs = RunInputs(
        "flight_delay", as_of, snapshot, {"planes": "b" * 64, "outcomes": "a" * 64}, "f" * 64, "2013-09-01-0123456789ab"
    )
    assert inputs.run_id == run_id
    assert seal("home", {"layout": 1})[0].decode() == blocks("document")[0] + "\n"


def _table(name: str, columns: tuple[tuple[str, str], ...], partition: Partition) -> TableSnapshot:
    return TableSnapshot(
        name,
        1,
        {"outcomes": "a", "planes": "b"}[name] * 64,
        "history",
        "appended",
        "known_at",
        ("i8",),
        ("i8",),
        columns,
        None,
        None,
        (partition,),
    )


# An encoder of the page's words alone, for rows that no page could hold.
FORMATS = {
    "int8": "b", "int16": "h", "int32": "i", "int64": "q",
    "uint8": "B", "uint16": "H", "uint32": "I", "uint64": "Q", "float64": "d",
}  # fmt: skip
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def value_bytes(kind: str, value: object) -> bytes:  # noqa: PLR0911  one line a type
    match value:
        case None:
            width = 1 if kind == "boolean" else 16 if kind.startswith("decimal") else 0
            return bytes(width or {"date": 4, "timestamp": 8}.get(kind) or struct.calcsize("<" + FORMATS[kind]))
        case bool():
            return bytes([value])
        case float() if math.isnan(value):
            return bytes.fromhex("000000000000f87f")
        case int() | float():
            return struct.pack("<" + FORMATS[kind], value)
        case datetime():
            return struct.pack("<q", (value - EPOCH) // timedelta(microseconds=1))
        case date():
            return struct.pack("<i", (value - EPOCH.date()).days)
        case Decimal():
            return int(value.scaleb(3)).to_bytes(16, "little", signed=True)
    raise AssertionError(value)


def by_the_page(frame: pl.DataFrame, kinds: list[str]) -> str:
    columns = []
    for kind, values in zip(kinds, (s.to_list() for s in frame), strict=True):
        bits = sum(1 << place for place, value in enumerate(values) if value is not None)
        content = bits.to_bytes((len(values) + 7) // 8, "little")
        if kind == "text":
            texts = [(value or "").encode() for value in values]
            content += b"".join(struct.pack("<Q", len(text)) for text in texts) + b"".join(texts)
        else:
            content += b"".join(value_bytes(kind, value) for value in values)
        columns.append(hashlib.sha256(content).digest())
    header = json.dumps(
        {"columns": [list(pair) for pair in zip(frame.columns, kinds, strict=True)], "rows": frame.height},
        separators=(",", ":"),
        ensure_ascii=False,
    )
    return sha256(b"rescore rows 1\n" + header.encode() + b"\n" + b"".join(columns))


def whole(bits: int, *, signed: bool) -> st.SearchStrategy[int]:
    low = -(2 ** (bits - 1)) if signed else 0
    return st.integers(low, low + 2**bits - 1)


VALUES: dict[str, st.SearchStrategy[object]] = {
    "boolean": st.booleans(),
    **{f"int{bits}": whole(bits, signed=True) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": whole(bits, signed=False) for bits in (8, 16, 32, 64)},
    "float64": st.floats(),
    "date": st.dates(),
    "timestamp": st.datetimes(timezones=st.just(UTC)),
    "decimal(38,3)": st.integers(-(10**25), 10**25).map(lambda unscaled: Decimal(unscaled).scaleb(-3)),
    "text": st.text(st.characters(exclude_categories=["Cs"]), max_size=9),
}


@st.composite
def frames(draw: st.DrawFn, least: int = 0) -> tuple[pl.DataFrame, list[str]]:
    """A frame of any of the types, and our names of them."""
    rows = draw(st.integers(least, 20))
    kinds = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=5))
    columns = [
        pl.Series(
            f'{place} ü"\\', draw(st.lists(st.none() | VALUES[kind], min_size=rows, max_size=rows)), polars_type(kind)
        )
        for place, kind in enumerate(kinds)
    ]
    return pl.DataFrame(columns), kinds


@given(frames())
@settings(max_examples=150, deadline=None)
def test_any_rows_are_digested_as_the_page_says(drawn: tuple[pl.DataFrame, list[str]]) -> None:
    frame, kinds = drawn

    assert [type_name(dtype) for dtype in frame.schema.values()] == kinds
    assert rows_digest(frame) == by_the_page(frame, kinds)


@given(frames(), st.data())
@settings(max_examples=80, deadline=None)
def test_chunks_and_slices_do_not_matter(drawn: tuple[pl.DataFrame, list[str]], data: st.DataObject) -> None:
    frame, _ = drawn
    cut = data.draw(st.integers(0, frame.height))
    two_chunks = pl.concat([frame[:cut], frame[cut:]], rechunk=False)
    middle_of_more = pl.concat([frame, frame, frame], rechunk=True).slice(frame.height, frame.height)

    assert rows_digest(two_chunks) == rows_digest(middle_of_more) == rows_digest(frame.rechunk()) == rows_digest(frame)


def test_parquet_and_arrow_by_any_library_give_the_rows_back(tmp_path: Path) -> None:
    wanted = rows_digest(WORKED)
    by_polars, by_arrow, by_duckdb = tmp_path / "polars", tmp_path / "arrow", tmp_path / "duckdb"
    WORKED.write_parquet(by_polars)
    pyarrow.parquet.write_table(WORKED.to_arrow(), by_arrow)
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.register("worked", WORKED)
        con.execute(f"COPY worked TO '{by_duckdb}' (FORMAT parquet)")

        for path in (by_polars, by_arrow, by_duckdb):
            assert rows_digest(pl.read_parquet(path)) == wanted
            assert rows_digest(con.sql(f"FROM read_parquet('{path}')").pl()) == wanted
            assert rows_digest(pl.DataFrame(pyarrow.parquet.read_table(path))) == wanted


@pytest.mark.parametrize(
    "arrow",
    [
        pa.array(["ab", None, "ab", ""], pa.string()),
        pa.array(["ab", None, "ab", ""], pa.large_string()),
        pa.array(["ab", None, "ab", ""], pa.string_view()),
        pa.chunked_array([["ab"], [None, "ab"], [""]], pa.string()),
        pa.array(["no", "ab", None, "ab", ""], pa.large_string())[1:],
    ],
    ids=["string", "large", "view", "chunked", "sliced"],
)
def test_every_arrow_layout_of_a_text_is_the_same_text(arrow: pa.Array) -> None:
    column = pl.Series("text", pl.from_arrow(arrow))

    assert column_digest(column) == column_digest(pl.Series("text", ["ab", None, "ab", ""]))


def test_a_dictionary_is_refused_until_it_is_cast_to_text() -> None:
    """It is another type to the header; the SQL casts it."""
    column = pl.Series("text", pl.from_arrow(pa.array(["ab", None, "ab"]).dictionary_encode()))

    with pytest.raises(TypeNotEncodable, match=r"boolean, integers, float64, date, UTC timestamp, decimal or text"):
        column_digest(column)
    assert column_digest(column.cast(pl.String)) == column_digest(pl.Series(["ab", None, "ab"]))


@pytest.mark.parametrize(
    "dtype",
    [pl.Float32(), pl.Int128(), pl.Datetime("us"), pl.Datetime("ms", "UTC"), pl.Datetime("us", "Europe/Paris"),
     pl.Time(), pl.Duration("us"), pl.Binary(), pl.List(pl.Int8), pl.Null()],
    ids=str,
)  # fmt: skip
def test_a_type_outside_the_encoding_is_refused(dtype: pl.DataType) -> None:
    with pytest.raises(TypeNotEncodable):
        rows_digest(pl.DataFrame(schema={"x": dtype}))


@pytest.mark.parametrize("name", ["float32", "", "timestamp(ns)", "x" * 300])
def test_a_name_that_no_type_has_is_refused(name: str) -> None:
    with pytest.raises(TypeNotEncodable):
        polars_type(name)


def test_every_type_has_a_name_that_leads_back_to_it() -> None:
    for dtype in WORKED.schema.values():
        assert polars_type(type_name(dtype)) == dtype


def test_every_nan_is_the_same_and_the_two_zeros_are_not() -> None:
    nans = pl.Series(
        [struct.unpack("<d", struct.pack("<Q", bits))[0] for bits in (0x7FF8 << 48, 0xFFF8 << 48, 0x7FF0 << 48 | 5)]
    )

    assert len({column_digest(nans.slice(place, 1)) for place in range(3)}) == 1
    assert column_digest(pl.Series([0.0])) != column_digest(pl.Series([-0.0]))


def other(value: object) -> list[object]:  # noqa: PLR0911  one line a type
    """Values next to one: null, zero or empty, the least that differs."""
    match value:
        case None:
            return []
        case bool():
            return [None, not value]
        case int():
            return [None, *sorted({value ^ 1, 0} - {value})]
        case float():
            return [None, math.inf] + ([math.nextafter(value, 7)] if not math.isnan(value) else [1.0])
        case datetime():
            return [None, value + timedelta(microseconds=1)]
        case date():
            return [None, value + timedelta(days=1)]
        case Decimal():
            return [None, value + Decimal("0.01"), -value]
        case str():
            return [None, value + "\x00", value + " "]
    raise AssertionError(value)


def test_a_change_of_any_cell_changes_the_digest() -> None:
    digests = [rows_digest(WORKED)]
    for column, row in itertools.product(WORKED.get_columns(), range(3)):
        values = column.to_list()
        for instead in other(values[row]):
            changed = pl.Series(column.name, [*values[:row], instead, *values[row + 1 :]], column.dtype)
            digests.append(rows_digest(WORKED.with_columns(changed)))

    assert len(digests) > 70
    assert len(set(digests)) == len(digests)


DIFFERENT: dict[str, pl.DataFrame] = {
    "the rows": pl.DataFrame({"a": [1, 2], "b": [3, 4]}),
    "in another order": pl.DataFrame({"a": [2, 1], "b": [4, 3]}),
    "columns in another order": pl.DataFrame({"b": [3, 4], "a": [1, 2]}),
    "names exchanged": pl.DataFrame({"b": [1, 2], "a": [3, 4]}),
    "another name": pl.DataFrame({"a": [1, 2], "c": [3, 4]}),
    "another type": pl.DataFrame({"a": [1, 2], "b": [3, 4]}, schema={"a": pl.Int64, "b": pl.UInt64}),
    "one row fewer": pl.DataFrame({"a": [1], "b": [3]}),
    "one column fewer": pl.DataFrame({"a": [1, 2]}),
    "no rows": pl.DataFrame({"a": [1, 2], "b": [3, 4]}).clear(),
    "null": pl.DataFrame({"a": [None, 2], "b": [3, 4]}),
    "zero": pl.DataFrame({"a": [0, 2], "b": [3, 4]}),
    "text null": pl.DataFrame({"a": [None, "b"]}),
    "text empty": pl.DataFrame({"a": ["", "b"]}),
    "ab, c": pl.DataFrame({"a": ["ab", "c"]}),
    "a, bc": pl.DataFrame({"a": ["a", "bc"]}),
    "ab and c beside": pl.DataFrame({"a": ["ab"], "b": ["c"]}),
    "a and bc beside": pl.DataFrame({"a": ["a"], "b": ["bc"]}),
    "decimal 1.0": pl.DataFrame({"a": [Decimal("1.0")]}, schema={"a": pl.Decimal(10, 1)}),
    "decimal 1.00": pl.DataFrame({"a": [Decimal("1.00")]}, schema={"a": pl.Decimal(10, 2)}),
    "composed": pl.DataFrame({"a": ["\u00fc"]}),
    "decomposed": pl.DataFrame({"a": ["u\u0308"]}),
}


def test_whatever_differs_has_another_digest() -> None:
    digests = {rows_digest(frame): what for what, frame in DIFFERENT.items()}

    assert list(digests.values()) == list(DIFFERENT)


# The way that rows come from a warehouse: versioned SQL, DuckDB, Arrow, partitions.
QUERY = """\
-- grain: one reported event
-- role: history
-- key: id
-- event time: happened_at
-- known time: known_at
-- known: appended
-- lookback: 30 days

SELECT
  CAST(id AS BIGINT) AS id,
  CAST(happened_at AS TIMESTAMPTZ) AS happened_at,
  CAST(label AS VARCHAR) AS label,
  CAST(share AS DOUBLE) AS share,
  CAST(fare AS DECIMAL(10,2)) AS fare,
  CAST(known_at AS TIMESTAMPTZ) AS known_at
FROM events
WHERE happened_at >= $start
  AND happened_at < $end
  AND known_at < $cutoff
ORDER BY id, known_at
"""
EVENTS = """
    CREATE TABLE events AS SELECT
        i AS id,
        TIMESTAMPTZ '2013-08-20 00:00:00+00' + to_minutes(CAST(i % 15000 AS INTEGER)) AS happened_at,
        CASE WHEN i % 7 = 0 THEN NULL WHEN i % 5 = 0 THEN '' ELSE 'ü' || (i % 11) END AS label,
        CASE WHEN i % 3 <> 0 THEN i / 7 END AS share,
        i * 0.25 AS fare,
        happened_at + to_hours(CAST(i % 30 AS INTEGER)) AS known_at
    FROM range(20000) AS numbers(i) ORDER BY {order}
"""


@pytest.fixture
def extracted(tmp_path: Path) -> Callable[[str, int], list[tuple[date, date, int, str]]]:
    """Event day, visible day, rows and digest of each partition of a warehouse whose rows lie in some order."""
    path = tmp_path / "events_v1.sql"
    path.write_text(QUERY)
    query, calendar = read_query(path), Calendar("America/New_York")
    bounds = Bounds(date(2013, 8, 2), date(2013, 9, 1), date(2013, 9, 1))

    def extract(order: str, threads: int) -> list[tuple[date, date, int, str]]:
        warehouse = tmp_path / "warehouse.duckdb"
        warehouse.unlink(missing_ok=True)
        with duckdb.connect(str(warehouse)) as con:
            con.execute("SET TimeZone = 'Asia/Tokyo'")
            con.execute(EVENTS.format(order=order))
        with open_duckdb_file(warehouse, calendar, 1, tmp_path) as extraction:
            extraction.con.execute(f"SET threads = {threads}")
            parts = by_days(extraction.rows(query, bounds))
            return [(event, visible, rows.height, rows_digest(rows)) for event, visible, rows in parts]

    return extract


def test_neither_the_order_of_the_warehouse_nor_threads_change_a_partition(
    extracted: Callable[[str, int], list[tuple[date, date, int, str]]],
) -> None:
    """Rows in three orders, read with 1, 2 and 3 threads: the same partitions with the same digests."""
    partitions = extracted("i", 1)

    assert len(partitions) > 20
    assert len({digest for *_, digest in partitions}) == len(partitions)
    assert extracted("i DESC", 2) == partitions
    assert extracted("hash(i)", 3) == partitions
