"""An SQL file passes every rule or is refused with file, line and reason, before anything of it runs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from jobs.queries.bounds import parameters
from jobs.queries.check import check_queries, read_query
from jobs.queries.columns import Column
from jobs.queries.source import DeclarationRefused, QueryMissing, QueryRefused

if TYPE_CHECKING:
    from pathlib import Path

# Line numbers below count from the first line of this text.
HISTORY = """\
-- grain: one outcome of one flight
-- role: history
-- key: flight, origin
-- event time: dep_at
-- known time: known_at
-- known: rewritten
-- lookback: 28 days

SELECT
  CAST(o.flight AS INTEGER) AS flight,
  CAST(o.origin AS VARCHAR) AS origin,
  CAST(o.dep_at AS TIMESTAMPTZ) AS dep_at,
  CAST(o.delay_min AS DOUBLE) AS delay_min,
  CAST(greatest(o.recorded_at, s.recorded_at) AS TIMESTAMPTZ) AS known_at
FROM outcomes AS o
INNER JOIN scheduled AS s
  ON s.flight = o.flight AND s.origin = o.origin
WHERE o.dep_at >= $start
  AND o.dep_at < $end
  AND greatest(o.recorded_at, s.recorded_at) < $cutoff
ORDER BY dep_at, flight, origin
"""

REFERENCE = """\
-- grain: one aircraft
-- role: reference
-- key: tailnum
-- known: none

SELECT
  CAST(tailnum AS VARCHAR) AS tailnum,
  CAST(seats AS INTEGER) AS seats
FROM planes
ORDER BY tailnum
"""


def file_of(folder: Path, text: str, name: str = "outcomes_v1.sql") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


def edited(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the text"
    return text.replace(old, new)


def refusals(folder: Path, text: str, name: str = "outcomes_v1.sql") -> list[tuple[int, str]]:
    return [(refused.line, refused.reason) for refused in check_queries([file_of(folder, text, name)])]


def test_a_query_is_read_with_its_columns_order_and_fingerprint(tmp_path: Path) -> None:
    query = read_query(file_of(tmp_path, REFERENCE, "planes_v12.sql"))

    assert (query.table, query.version, query.text) == ("planes", 12, REFERENCE)
    assert query.columns == (Column("tailnum", "VARCHAR"), Column("seats", "INTEGER"))
    assert query.order == ("tailnum",)
    assert query.fingerprint == "9afa9b2f3bdf52d0a086abafa32d6e768a9d9403423f36df364806908ac7900b"
    assert parameters(query.declaration) == ()


def test_the_parameters_of_a_history_are_its_three_bounds(tmp_path: Path) -> None:
    assert parameters(read_query(file_of(tmp_path, HISTORY)).declaration) == ("start", "end", "cutoff")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("INNER JOIN", "JOIN"),
        ("INNER JOIN", "LEFT JOIN"),
        ("INNER JOIN", "LEFT OUTER JOIN"),
        ("ON s.flight = o.flight AND s.origin = o.origin", "USING (flight, origin)"),
        ("CAST(o.origin AS VARCHAR) AS origin", "o.origin::VARCHAR AS origin"),
        ("CAST(o.dep_at AS TIMESTAMPTZ)", "CAST((o.dep_at) AS TIMESTAMP WITH TIME ZONE)"),
        ("AND o.dep_at < $end", "AND (o.dep_at < $end)"),
        ("ORDER BY dep_at, flight, origin", "ORDER BY flight, origin"),
        ("ORDER BY dep_at, flight, origin", "ORDER BY flight ASC, origin ASC;"),
        ("FROM outcomes", "FROM flights.outcomes"),
        ("WHERE o.dep_at >= $start", "WHERE s.recorded_at < $cutoff AND o.dep_at >= $start"),
        ("WHERE o.dep_at", "WHERE o.origin IN ('EWR', 'JFK') AND NOT (o.flight < 0 OR o.flight IS NULL) AND o.dep_at"),
        ("WHERE o.dep_at", "WHERE o.seen_at < CAST('2013-08-31 00:00+00' AS TIMESTAMPTZ) AND o.dep_at"),
        ("CAST(o.delay_min AS DOUBLE)", "CAST(floor(o.delay_s * 60 + 0.5) AS BIGINT)"),
        ("CAST(o.delay_min AS DOUBLE)", "CAST(CASE WHEN o.delay_min > 0 THEN 1 ELSE -1 END AS DECIMAL(38, 2))"),
        ("CAST(o.delay_min AS DOUBLE)", "CAST(coalesce(nullif(o.delay_min, 0), abs(o.other)) AS TINYINT)"),
        ("SELECT\n", "-- remarks may say /* anything */ ; DROP TABLE x\nSELECT -- here too: now()\n"),
    ],
)
def test_the_subset_is_accepted(tmp_path: Path, old: str, new: str) -> None:
    assert refusals(tmp_path, edited(HISTORY, old, new)) == []


# old text, new text, line of the refusal, a part of the reason
REFUSED_ONE_BY_ONE = [
    # what a file is
    ("SELECT\n", "COPY\n", 9, "opens with COPY"),
    ("SELECT\n", "WITH x AS (SELECT 1) SELECT\n", 9, "opens with WITH"),
    ("ORDER BY dep_at, flight, origin\n", "ORDER BY flight, origin;\nDROP TABLE outcomes;\n", 22, "opens with DROP"),
    ("ORDER BY dep_at, flight, origin", "UNION ALL SELECT 1", 21, "a UNION"),
    ("WHERE o.dep_at >=", "WHERE o.dep_at >= >=", 18, "syntax error"),
    ("AND s.origin", "AND (s.origin", 18, "syntax error"),
    # columns
    ("CAST(o.delay_min AS DOUBLE) AS delay_min", "o.delay_min", 13, "write CAST(... AS type) AS name"),
    ("CAST(o.delay_min AS DOUBLE) AS delay_min", "o.delay_min AS delay_min", 13, "write CAST(... AS type) AS name"),
    ("CAST(o.delay_min AS DOUBLE) AS delay_min", "CAST(o.delay_min AS DOUBLE)", 13, "write CAST(... AS type) AS name"),
    ("AS DOUBLE", "AS FLOAT", 13, "a cast to `REAL`"),
    ("AS DOUBLE", "AS TIMESTAMP", 13, "a cast to `TIMESTAMP`"),
    ("AS DOUBLE", "AS HUGEINT", 13, "a cast to `INT128`"),
    ("AS DOUBLE", "AS DECIMAL(39, 2)", 13, "a cast to `DECIMAL(39, 2)`"),
    ("AS DOUBLE", "AS DECIMAL", 13, "without precision and scale"),
    ("AS DOUBLE", "AS VARCHAR(10)", 13, "VARCHAR with a length"),
    ("CAST(o.delay_min", "CAST(CAST(o.delay_min AS JSON)", 13, "a cast to `JSON`"),
    ("AS delay_min", "AS Delay_min", 13, "the output name `Delay_min`"),
    ("AS delay_min", 'AS "delay_min"', 13, "the output name"),
    ("AS delay_min", "AS origin", 13, "two output columns are named `origin`"),
    ("AS delay_min", "AS visible_day", 13, "`visible_day` is taken"),
    ("AS delay_min", "AS as_of", 13, "`as_of` is taken"),
    ("CAST(o.delay_min", "TRY_CAST(o.delay_min", 13, "TRY_CAST"),
    ("CAST(o.flight AS INTEGER)", "CAST(o.flight AS DOUBLE)", 10, "the key `flight` is DOUBLE"),
    ("CAST(o.dep_at AS TIMESTAMPTZ)", "CAST(o.dep_at AS DATE)", 12, "the event time `dep_at` is DATE"),
    ("-- key: flight, origin", "-- key: flight, carrier, origin", 3, "the declared key `carrier` is no output column"),
    ("-- event time: dep_at", "-- event time: left_at", 4, "the declared event time `left_at` is no output column"),
    ("-- known time: known_at", "-- known time: seen_at", 5, "the declared known time `seen_at` is no output column"),
    # what cannot be repeated
    ("  CAST(o.delay_min AS DOUBLE) AS delay_min", "  o.*", 13, "`*`; name each column"),
    ("CAST(o.delay_min", "CAST(count(*)", 13, "the aggregate `COUNT(*)`"),
    ("CAST(o.delay_min", "CAST(sum(o.delay_min)", 13, "the aggregate `SUM(o.delay_min)`"),
    ("CAST(o.delay_min", "CAST(row_number() OVER (ORDER BY o.origin)", 13, "a window function"),
    ("CAST(o.delay_min", "CAST((SELECT 1)", 13, "a subquery"),
    ("CAST(o.delay_min", "CAST(o.delay_min / 60", 13, "division"),
    ("CAST(o.delay_min", "CAST(round(o.delay_min)", 13, "the function `round`"),
    ("CAST(o.delay_min", "CAST(random()", 13, "the function `random`"),
    ("CAST(o.delay_min", "CAST(uuid()", 13, "the function `uuid`"),
    ("CAST(o.delay_min", "CAST(hash(o.delay_min)", 13, "the function `hash`"),
    ("CAST(o.delay_min", "CAST(getenv('HOME')", 13, "the function `getenv`"),
    ("CAST(o.delay_min", "CAST(current_setting('x')", 13, "the function `current_setting`"),
    ("CAST(o.delay_min", "CAST(nextval('x')", 13, "the function `nextval`"),
    ("CAST(o.delay_min", "CAST(version()", 13, "the function `version`"),
    ("CAST(o.delay_min", "CAST(today()", 13, "the function `today`"),
    ("CAST(o.delay_min", "CAST(now()", 13, "the function `now`"),
    ("CAST(o.delay_min", "CAST(current_timestamp", 13, "the function `current_timestamp`"),
    ("CAST(o.delay_min", "CAST(strftime(o.dep_at, '%Y')", 13, "the function `strftime`"),
    ("CAST(o.delay_min", "CAST(o.rowid", 13, "`rowid` is where a row lies"),
    ("CAST(o.delay_min", "CAST(user", 13, "`user` depends on the session"),
    ("CAST(o.delay_min", "CAST('now'", 13, "is read as a clock by PostgreSQL"),
    ("WHERE o.dep_at", "WHERE o.seen_at < '2013-08-31 00:00'::TIMESTAMPTZ AND o.dep_at", 18, "with its offset"),
    ("WHERE o.dep_at", "WHERE o.origin LIKE 'E%' AND o.dep_at", 18, "LIKE in"),
    ("SELECT\n", "SELECT DISTINCT\n", 9, "DISTINCT"),
    ("ORDER BY dep_at, flight, origin", "ORDER BY flight, origin\nLIMIT 5", 22, "LIMIT"),
    ("ORDER BY dep_at, flight, origin", "ORDER BY flight, origin\nOFFSET 5", 22, "OFFSET"),
    ("ORDER BY dep_at, flight, origin", "GROUP BY o.flight ORDER BY flight, origin", 21, "GROUP BY"),
    ("ORDER BY dep_at, flight, origin", "QUALIFY o.flight > 1 ORDER BY flight, origin", 21, "QUALIFY"),
    ("ORDER BY dep_at, flight, origin", "HAVING o.flight > 1 ORDER BY flight, origin", 21, "HAVING"),
    # what is read
    ("FROM outcomes AS o", "FROM 'outcomes.csv' AS o", 15, "is no table's name"),
    ("FROM outcomes AS o", "FROM outcomes.csv AS o", 15, "DuckDB would read `outcomes.csv AS o` as a file"),
    ("FROM outcomes AS o", "FROM a.b.outcomes AS o", 15, "a catalog in"),
    ("FROM outcomes AS o", "FROM duckdb_tables AS o", 15, "describes the engine"),
    ("FROM outcomes AS o", "FROM information_schema.tables AS o", 15, "describes the engine"),
    ("FROM outcomes AS o", "FROM outcomes AS o TABLESAMPLE (10 PERCENT)", 15, "SAMPLE"),
    ("INNER JOIN scheduled AS s\n", "INNER JOIN scheduled AS o\n", 16, "two tables are called `o`"),
    ("INNER JOIN scheduled AS s\n", "ASOF JOIN scheduled AS s\n", 16, "joined by ASOF"),
    ("INNER JOIN scheduled AS s\n", "FULL JOIN scheduled AS s\n", 16, "joined by FULL"),
    ("INNER JOIN scheduled AS s\n", "SEMI JOIN scheduled AS s\n", 16, "joined by SEMI"),
    ("INNER JOIN", "CROSS JOIN elsewhere AS e\nINNER JOIN", 16, "joined by CROSS"),
    ("FROM outcomes AS o", "FROM elsewhere AS e, outcomes AS o", 15, "joined without ON or USING"),
    ("AND s.origin = o.origin", "AND s.origin <> o.origin", 17, "the join condition `s.origin <> o.origin`"),
    ("AND s.origin = o.origin", "AND s.origin = 'EWR'", 17, "the join condition"),
    ("AND s.origin = o.origin", "AND s.origin = s.dest", 17, "the join condition"),
    ("AND s.origin = o.origin", "OR s.origin = o.origin", 17, "the join condition"),
    ("CAST(o.delay_min", "CAST(delay_min", 13, "does not say which table it is from"),
    ("CAST(o.delay_min", "CAST(p.delay_min", 13, "names no table of FROM; the tables are o, s"),
    # bounds
    ("o.dep_at < $end", "o.dep_at <= $end", 19, "`o.dep_at <= $end` does not bound `dep_at`; WHERE needs"),
    ("o.dep_at >= $start", "o.dep_at > $start", 18, "`o.dep_at > $start` does not bound `dep_at`"),
    ("o.dep_at >= $start", "$start <= o.dep_at", 18, "`$start <= o.dep_at` does not bound `dep_at`"),
    ("WHERE o.dep_at >= $start\n  AND ", "WHERE ", 18, "no bound of `dep_at` by $start"),
    ("\n  AND o.dep_at < $end", "", 18, "no bound of `dep_at` by $end"),
    ("\n  AND greatest(o.recorded_at, s.recorded_at) < $cutoff", "", 18, "no bound of `known_at` by $cutoff"),
    ("s.recorded_at) < $cutoff", "s.recorded_at) <= $cutoff", 20, "does not bound `known_at`"),
    ("AND greatest(o.recorded_at, s.recorded_at) <", "AND o.recorded_at <", 18, "no bound of `known_at` by $cutoff"),
    ("AND o.dep_at < $end", "AND o.arr_at < $end", 19, "does not bound `dep_at`"),
    ("AND o.dep_at < $end", "AND (o.dep_at < $end OR o.flight = 1)", 19, "does not bound `dep_at`"),
    ("AND o.dep_at < $end", "AND NOT o.dep_at < $end", 19, "does not bound `dep_at`"),
    ("WHERE o.dep_at", "WHERE o.arr_at < $end AND o.dep_at", 18, "$end in `o.arr_at < $end`; parameters stand in"),
    ("CAST(o.delay_min", "CAST($cutoff", 13, "parameters stand in the bounds"),
    ("WHERE o.dep_at", "WHERE o.flight = $flight AND o.dep_at", 18, "$flight in `o.flight = $flight`"),
    ("WHERE o.dep_at >= $start", "WHERE o.dep_at >= $1", 18, "a numbered parameter"),
    ("WHERE o.dep_at >= $start", "WHERE o.dep_at >= ?", 18, "an unnamed parameter"),
    # order
    ("ORDER BY dep_at, flight, origin\n", "", 20, "no ORDER BY; no tie may be left open, the order ends in"),
    ("ORDER BY dep_at, flight, origin", "ORDER BY dep_at, origin, flight", 21, "the order ends in flight, origin"),
    ("ORDER BY dep_at, flight, origin", "ORDER BY flight, origin, dep_at", 21, "the order ends in flight, origin"),
    ("ORDER BY dep_at, flight, origin", "ORDER BY dep_at DESC, flight, origin", 21, "ORDER BY `dep_at` DESC"),
    ("ORDER BY dep_at, flight, origin", "ORDER BY dep_at NULLS LAST, flight, origin", 21, "explicit NULLS LAST"),
    ("ORDER BY dep_at, flight, origin", "ORDER BY dep_at NULLS FIRST, flight, origin", 21, "explicit NULLS FIRST"),
    ("ORDER BY dep_at, flight, origin", "ORDER BY 1, flight, origin", 21, "ORDER BY `1`"),
    ("ORDER BY dep_at, flight, origin", "ORDER BY o.dep_at, flight, origin", 21, "ORDER BY `o.dep_at`"),
    ("ORDER BY dep_at, flight, origin", "ORDER BY recorded_at, flight, origin", 21, "ORDER BY `recorded_at`"),
    ("ORDER BY dep_at, flight, origin", "ORDER BY flight + 1, flight, origin", 21, "ORDER BY `flight + 1`"),
    ("ORDER BY dep_at, flight, origin", "ORDER BY origin, flight, origin", 21, "ORDER BY `origin` twice"),
    ("ORDER BY dep_at, flight, origin", "ORDER BY delay_min, flight, origin", 21, "NaN and -0.0 have no order"),
    ("-- known: rewritten", "-- known: appended", 21, "the order ends in flight, origin, known_at"),
    # what parsers cut differently
    ("SELECT\n", "SELECT /* all */\n", 9, "a block comment"),
    ("SELECT\n", "SELECT {# all #}\n", 9, "`{#` is not of the subset"),
    ("FROM outcomes", 'FROM "outcomes.csv"', 15, "no plain identifier"),
    ("AS origin", "AS \u00f6rigin", 11, "is not of the subset"),
    ("INNER JOIN", "\tINNER JOIN", 16, "U+0009"),
    ("INNER JOIN", "\u00a0INNER JOIN", 16, "U+00A0"),
    ("INNER JOIN", "-- x\rINNER JOIN", 16, "U+000D"),
    ("CAST(o.delay_min", "CAST('a\\' || ''", 13, "holds a backslash"),
    ("CAST(o.delay_min", "CAST($$1$$", 13, "dollar quoting"),
    ("CAST(o.delay_min", "CAST(0x1F", 13, "`0x1F` is not of the subset"),
    ("CAST(o.delay_min", "CAST(1e5", 13, "`1e5` is not of the subset"),
    ("CAST(o.delay_min", "CAST(E'x'", 13, "is not of the subset"),
    ("CAST(o.delay_min", "CAST(" + 40 * "(" + "1" + 40 * ")", 13, "more than 32 deep"),
]  # fmt: skip


def test_a_clock_without_zone_is_sent_to_a_view_and_no_bound_is_asked_for_that_would_be_refused(tmp_path: Path) -> None:
    """What the selection may not say, no other line tells to write, whether WHERE says it too or not."""
    zoned = "o.dep_at AT TIME ZONE 'Europe/Berlin'"
    selected = edited(HISTORY, "CAST(o.dep_at", f"CAST({zoned}")
    everywhere = selected.replace("o.dep_at >=", f"{zoned} >=").replace("o.dep_at <", f"{zoned} <")
    reason = "AT TIME ZONE; make the TIMESTAMPTZ in a view of the warehouse, and read its column here"

    for text, lines in ((selected, [12]), (everywhere, [12, 18, 19])):
        assert sorted(refusals(tmp_path, text)) == [(line, reason) for line in lines]


@pytest.mark.parametrize(("old", "new", "line", "reason"), REFUSED_ONE_BY_ONE)
def test_each_rule_refuses_with_its_line_and_reason(tmp_path: Path, old: str, new: str, line: int, reason: str) -> None:
    found = refusals(tmp_path, edited(HISTORY, old, new))

    assert [at for at, said in found if reason in said] == [line], found


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("FROM planes", "FROM planes WHERE seen_at >= $start", 9, "$start in `seen_at >= $start`"),
        ("FROM planes", "FROM planes WHERE seen_at < $cutoff", 9, "$cutoff in `seen_at < $cutoff`"),
        ("FROM planes", "FROM read_csv('planes.csv')", 9, "the function `read_csv`"),
        ("FROM planes", "FROM range(10)", 9, "is no table's name"),
        ("FROM planes", "FROM (SELECT 1) AS planes", 9, "a subquery"),
        ("\nFROM planes", "", 6, "no FROM"),
        ("CAST(seats", "CAST(planes", 8, "a whole row of the table"),
        ("CAST(seats", "CAST(COLUMNS('s.*')", 8, "the function `COLUMNS`"),
    ],
)
def test_a_reference_is_bounded_only_where_it_says_when(
    tmp_path: Path, old: str, new: str, line: int, reason: str
) -> None:
    found = refusals(tmp_path, edited(REFERENCE, old, new), "planes_v1.sql")

    assert [at for at, said in found if reason in said] == [line], found


def test_a_reference_that_says_when_is_bounded_by_the_cutoff(tmp_path: Path) -> None:
    text = edited(REFERENCE, "-- known: none", "-- known time: seen_at\n-- known: rewritten")
    text = edited(
        text, "FROM planes", "  , CAST(seen_at AS TIMESTAMPTZ) AS seen_at\nFROM planes\nWHERE seen_at < $cutoff"
    )

    query = read_query(file_of(tmp_path, text, "planes_v1.sql"))

    assert parameters(query.declaration) == ("cutoff",)


def test_versions_of_a_row_are_ordered_by_their_known_time(tmp_path: Path) -> None:
    text = edited(edited(HISTORY, "rewritten", "appended"), "BY dep_at, flight, origin", "BY flight, origin, known_at")

    assert read_query(file_of(tmp_path, text)).order == ("flight", "origin", "known_at")


def test_all_refusals_of_all_files_come_at_once(tmp_path: Path) -> None:
    text = edited(edited(HISTORY, "AS DOUBLE", "AS FLOAT"), "-- known: rewritten", "-- known: sometimes")
    text = edited(text, "ORDER BY dep_at", "ORDER BY dep_at DESC")
    paths = [file_of(tmp_path, text), file_of(tmp_path, edited(REFERENCE, "CAST(seats", "max(seats"), "planes_v1.sql")]

    found = [(refused.path.name, refused.line) for refused in check_queries(paths)]

    assert found[:3] == [("outcomes_v1.sql", 6), ("outcomes_v1.sql", 13), ("outcomes_v1.sql", 21)]
    assert {name for name, _ in found} == {"outcomes_v1.sql", "planes_v1.sql"}


def test_a_refusal_is_one_line_of_path_line_and_reason(tmp_path: Path) -> None:
    path = file_of(tmp_path, edited(HISTORY, "o.dep_at < $end", "o.dep_at\n  <= $end"))

    with pytest.raises(QueryRefused) as caught:
        read_query(path)

    assert str(caught.value) == (
        f"{path}:19: `o.dep_at <= $end` does not bound `dep_at`; "
        "WHERE needs `o.dep_at < $end`, as `dep_at` is selected, joined by AND"
    )


def test_the_parser_says_nothing_of_its_own() -> None:
    """A refusal is one line on stderr; the warnings of sqlglot go nowhere unless somebody asks for logs."""
    assert any(isinstance(each, logging.NullHandler) for each in logging.getLogger("sqlglot").handlers)


def test_a_wrong_declaration_is_refused_as_such(tmp_path: Path) -> None:
    with pytest.raises(DeclarationRefused):
        read_query(file_of(tmp_path, edited(HISTORY, "-- grain: one outcome of one flight\n", "")))


def test_a_file_without_a_statement_is_refused(tmp_path: Path) -> None:
    assert refusals(tmp_path, REFERENCE[: REFERENCE.index("SELECT")], "planes_v1.sql") == [
        (1, "no statement; the file holds one SELECT")
    ]


def test_a_file_of_another_name_is_refused(tmp_path: Path) -> None:
    for name in ("outcomes.sql", "outcomes_v0.sql", "outcomes_v01.sql", "Outcomes_v1.sql"):
        assert [line for line, reason in refusals(tmp_path, HISTORY, name) if "<table>_v<N>.sql" in reason] == [1]


def test_bytes_that_are_not_utf8_are_refused_on_their_line(tmp_path: Path) -> None:
    path = tmp_path / "outcomes_v1.sql"
    path.write_bytes(HISTORY.encode().replace(b"INNER JOIN", b"\xff JOIN"))

    assert [(refused.line, "UTF-8" in refused.reason) for refused in check_queries([path])] == [(16, True)]


def test_a_file_beyond_all_measure_is_refused_unread(tmp_path: Path) -> None:
    assert "split it" in refusals(tmp_path, HISTORY + "-- " + 70_000 * "x")[0][1]
    assert "at most 5000" in refusals(tmp_path, HISTORY + 6_000 * "AND ")[0][1]


def test_expressions_too_deep_for_the_parser_are_refused(tmp_path: Path) -> None:
    """The parser recurses over NOT and CASE without a parenthesis in sight."""
    assert "too deeply" in refusals(tmp_path, edited(HISTORY, "CAST(o.delay_min", f"CAST({4_000 * 'NOT '} TRUE"))[0][1]


def test_a_file_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(QueryMissing, match=r"planes_v1\.sql is not there"):
        read_query(tmp_path / "planes_v1.sql")


def test_a_file_that_was_edited_is_read_again(tmp_path: Path) -> None:
    """What is remembered of a file is remembered of its bytes."""
    before = read_query(file_of(tmp_path, HISTORY))
    same = read_query(file_of(tmp_path, HISTORY))
    after = read_query(file_of(tmp_path, HISTORY.replace("-- grain: one outcome", "-- grain: another outcome")))

    assert same is before
    assert after.fingerprint != before.fingerprint
    assert after.declaration.grain != before.declaration.grain
