"""Other engines get their text from the versioned SQL; what is kept was reviewed, and says when it is stale."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlglot import parse_one

from jobs.queries.bounds import parameters
from jobs.queries.check import Query, read_query
from jobs.queries.dialects import DIALECTS, NotRenderable
from jobs.queries.kinds import Kind
from jobs.queries.released import release
from jobs.queries.rendering import (
    RenderingStale,
    beyond_output,
    bound,
    casts_to_text,
    doubtful,
    kept_at,
    kept_rendering,
    render,
    renew_renderings,
    text_comparisons,
)

FOLDER = Path(__file__).parents[3] / "sql" / "flight_delay"
RELEASED = sorted(FOLDER.glob("*_v*.sql"))

TEXT = """\
-- grain: one row
-- role: history
-- key: k
-- event time: at
-- known time: seen_at
-- known: rewritten
-- lookback: 7 days

SELECT
  CAST(k AS INTEGER) AS k,
  CAST(at AS TIMESTAMPTZ) AS at,
  CAST(seen_at AS TIMESTAMPTZ) AS seen_at,
  {value} AS v
FROM things
WHERE at >= $start
  AND at < $end
  AND seen_at < $cutoff
  AND {condition}
ORDER BY k
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    job = tmp_path / "shop"
    job.mkdir()
    return job


def query_of(folder: Path, value: str = "CAST(x AS BIGINT)", condition: str = "TRUE") -> Query:
    path = folder / "things_v1.sql"
    path.write_text(TEXT.format(value=value, condition=condition))
    return read_query(path)


def instants(query: Query) -> dict[str, datetime]:
    return {name: datetime(2013, 8, 31, 4, tzinfo=UTC) for name in parameters(query.declaration)}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
def test_what_is_kept_for_another_engine_is_what_is_rendered_now(path: Path, dialect: str) -> None:
    """A stale one fails here with its file and with the command that renders it again; then review what it wrote."""
    assert kept_rendering(read_query(path), dialect) == FOLDER / dialect / path.name


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
def test_what_would_run_is_read_by_the_engines_parser_and_has_no_parameters(path: Path, dialect: str) -> None:
    query = read_query(path)
    text = bound(query, dialect, instants(query))

    tree = parse_one(text, dialect=dialect)

    assert [each.alias for each in tree.expressions] == [column.name for column in query.columns]
    assert "$" not in text


def test_an_edited_rendering_is_stale_and_says_what_to_run(folder: Path) -> None:
    query = query_of(folder)
    path = kept_at(query, "postgres")
    with pytest.raises(RenderingStale, match=r"postgres/things_v1\.sql is not there.*`score release shop`"):
        kept_rendering(query, "postgres")
    path.parent.mkdir()
    path.write_text(render(query, "postgres"))
    assert kept_rendering(query, "postgres") == path

    path.write_text(render(query, "postgres").replace("at < $end", "at <= $end"))

    with pytest.raises(RenderingStale, match=r"postgres/things_v1\.sql is not what .*`score release shop`.*review"):
        kept_rendering(query, "postgres")


def test_a_rendering_says_of_which_bytes_and_by_which_version_it_is(folder: Path) -> None:
    query = query_of(folder)

    header, *body = render(query, "postgres").split("\n")

    assert header.startswith("-- postgres, rendered by sqlglot 30.30.0 from things_v1.sql, SHA-256 ")
    assert query.fingerprint in header
    assert [line.strip() for line in body if "$" in line] == [
        "at >= $start AND at < $end AND seen_at < $cutoff AND TRUE"
    ]


def test_parameters_become_literals_in_utc_to_the_microsecond(folder: Path) -> None:
    query = query_of(folder, condition="s <> '$start'")
    berlin = datetime(2013, 8, 31, 6, 0, 0, 1, tzinfo=timezone(timedelta(hours=2)))

    text = bound(query, "postgres", dict.fromkeys(("start", "end", "cutoff"), berlin))

    assert "at >= CAST('2013-08-31 04:00:00.000001+00:00' AS TIMESTAMPTZ)" in text
    assert "s <> '$start'" in text


@pytest.mark.parametrize("given", [("start", "end"), ("start", "end", "cutoff", "other")])
def test_exactly_the_declared_parameters_are_bound(folder: Path, given: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="takes"):
        bound(query_of(folder), "postgres", dict.fromkeys(given, datetime(2013, 8, 31, tzinfo=UTC)))


def test_a_refusal_names_file_line_engine_and_reason(folder: Path) -> None:
    with pytest.raises(NotRenderable, match=r"things_v1\.sql:13: not for trino: .* of a DOUBLE is another value"):
        render(query_of(folder, "CAST(CAST(x AS DOUBLE) AS INTEGER)"), "trino")


def test_columns_that_are_put_in_order_are_told_unless_the_text_says_that_they_are_text(folder: Path) -> None:
    query = query_of(
        folder,
        "CAST(greatest(a, b) AS VARCHAR)",
        "c BETWEEN d AND 5 AND CAST(e AS VARCHAR) < f AND g < 'x' AND least(h, 'x') = i AND (k + j) > 1",
    )

    found = text_comparisons(query)

    assert {doubt.column for doubt in found} == {"a", "b", "at", "seen_at", "c", "d", "k", "j"}
    assert {doubt.table for doubt in found} == {"things"}


def test_columns_that_are_cast_to_text_are_told(folder: Path) -> None:
    query = query_of(folder, "CAST(coalesce(a, CAST(b AS VARCHAR), CASE WHEN c = 1 THEN d END) AS VARCHAR)")

    assert [doubt.column for doubt in casts_to_text(query)] == ["a", "d", "b"]


def test_columns_of_which_more_is_made_than_output_are_told(folder: Path) -> None:
    query = query_of(
        folder, "CAST(a AS VARCHAR)", "b = 'x' AND CAST(c AS VARCHAR) = 'x' AND d IS NOT NULL AND (e IN ('x'))"
    )

    assert {doubt.column for doubt in beyond_output(query)} == {"k", "at", "seen_at", "b", "c", "e"}


def test_a_column_is_told_by_its_table_behind_an_alias(folder: Path) -> None:
    text = TEXT.format(value="CAST(o.x AS VARCHAR)", condition="TRUE")
    for name in ("k", "at", "seen_at"):
        text = text.replace(f"CAST({name} ", f"CAST(o.{name} ").replace(f" {name} >", f" o.{name} >")
        text = text.replace(f" {name} < ", f" o.{name} < ")
    path = folder / "things_v1.sql"
    path.write_text(text.replace("FROM things", "FROM raw.things AS o JOIN others AS p ON p.k = o.k"))

    found = casts_to_text(read_query(path))
    assert [(doubt.table, doubt.column) for doubt in found] == [("raw.things", "x")]


@pytest.mark.parametrize(
    ("dialect", "value", "refused"),
    [
        ("postgres", "CAST(x AS VARCHAR)", {Kind.FLOAT, Kind.DOUBLE}),
        ("postgres", "CAST(coalesce(x, 0) AS VARCHAR)", {Kind.DECIMAL, Kind.WIDE, Kind.FLOAT, Kind.DOUBLE}),
        ("postgres", "CAST(x * 2 AS VARCHAR)", {Kind.WIDE, Kind.FLOAT, Kind.DOUBLE}),
        ("postgres", "CAST(x AS DECIMAL(10, 2))", {Kind.FLOAT, Kind.DOUBLE}),
        ("postgres", "CAST(x AS TIMESTAMPTZ)", {Kind.VARCHAR}),
        ("postgres", "CAST(x AS DATE)", {Kind.VARCHAR}),
        ("postgres", "CAST(x + 1 AS BIGINT)", {Kind.FLOAT, Kind.WIDE}),
        ("postgres", "CAST(x AS BIGINT)", set()),
        ("postgres", "CAST(x AS DOUBLE)", {Kind.WIDE}),
        ("postgres", "CAST(x * y AS BIGINT)", {Kind.FLOAT, Kind.WIDE}),
        ("postgres", "CAST(x * y + 1 AS BIGINT)", {Kind.FLOAT, Kind.WIDE, Kind.DECIMAL}),
        ("postgres", "CAST(x * 1.5 + 1 AS BIGINT)", {Kind.FLOAT, Kind.WIDE}),
        ("postgres", "CAST(floor(x) AS BIGINT)", {Kind.FLOAT}),
        ("postgres", "CAST(CASE x WHEN 1 THEN 2 END AS BIGINT)", {Kind.FLOAT, Kind.WIDE}),
        ("postgres", "CAST(x IN (1, 2) AS BOOLEAN)", {Kind.FLOAT, Kind.WIDE}),
        ("postgres", "CAST(x IS NULL AS BOOLEAN)", set()),
        ("snowflake", "CAST(x AS BIGINT)", {Kind.VARCHAR, Kind.FLOAT, Kind.DOUBLE}),
        ("spark", "CAST(x AS BIGINT)", {Kind.VARCHAR, Kind.FLOAT, Kind.DOUBLE, Kind.DECIMAL, Kind.WIDE}),
        ("spark", "CAST(floor(x * 100 + 0.5) AS BIGINT)", {Kind.VARCHAR, Kind.FLOAT, Kind.WIDE}),
        ("trino", "CAST(x AS DATE)", {Kind.VARCHAR, Kind.TIMESTAMP, Kind.TIMESTAMPTZ}),
        ("bigquery", "CAST(x AS DATE)", {Kind.VARCHAR}),
        ("bigquery", "CAST(least(x, 1) AS BIGINT)", {Kind.WIDE, Kind.VARCHAR, Kind.FLOAT, Kind.DOUBLE}),
    ],
)
def test_a_column_is_doubted_for_the_types_of_which_an_engine_makes_another_value(
    folder: Path, dialect: str, value: str, refused: set[Kind]
) -> None:
    """Its type is the catalog's to say."""
    found = doubtful(query_of(folder, value), dialect)

    assert {kind for doubt in found if doubt.column == "x" for kind in doubt.refused} == refused


def test_a_release_renders_what_is_released_and_again_what_is_stale_or_missing(folder: Path) -> None:
    """A rendering is derived: unlike its source it may be written again."""
    query = query_of(folder)
    (folder / "other_v1.sql").write_text(query.text)
    assert release(folder) == ("other_v1.sql", "things_v1.sql")
    wanted = [folder / dialect / name for name in ("other_v1.sql", "things_v1.sql") for dialect in DIALECTS]

    assert renew_renderings(folder).written == tuple(wanted)
    assert renew_renderings(folder).written == ()
    wanted[1].write_text("SELECT 1")
    wanted[6].unlink()

    assert renew_renderings(folder).written == (wanted[1], wanted[6])
    assert all(kept_rendering(query, dialect) for dialect in DIALECTS)


def test_what_an_engine_cannot_be_given_is_named_and_hinders_no_other_engine(folder: Path) -> None:
    query = query_of(folder, "CAST(CAST(x AS DOUBLE) AS INTEGER)")
    release(folder)
    stale = kept_at(query, "trino")
    stale.parent.mkdir()
    stale.write_text("SELECT 1")

    renewed = renew_renderings(folder)

    assert [path.parent.name for path in renewed.written] == ["postgres"]
    assert [str(refusal).split(": ")[1] for refusal in renewed.refused] == [
        f"not for {dialect}" for dialect in DIALECTS if dialect != "postgres"
    ]
    assert not stale.exists()


def test_only_released_files_are_rendered(folder: Path) -> None:
    query_of(folder)

    assert renew_renderings(folder).written == ()
