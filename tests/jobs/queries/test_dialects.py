"""Every construct of the subset, in DuckDB's words and in each other engine's: read by hand, held here to the letter.

sqlglot is pinned, and silently wrong in places; what it writes tomorrow need not be what it writes today.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlglot import parse_one

from jobs.queries.check import read_query
from jobs.queries.dialects import DIALECTS, NotRenderable
from jobs.queries.grammar import _PARTS
from jobs.queries.rendering import bound, render

TEXT = """\
-- grain: one row
-- role: reference
-- key: k
-- known: none

SELECT
  CAST(k AS INTEGER) AS k,
  {value} AS v
FROM t
WHERE {condition}
ORDER BY k
"""

# Paragraphs of one construct: a value, or a condition after WHERE, by engine; `refused:` and how the refusal goes.
CONSTRUCTS = [
    dict(line.split(maxsplit=1) for line in paragraph.splitlines())
    for paragraph in Path(__file__).with_name("constructs.txt").read_text(encoding="utf-8").split("\n\n")
]


def written(folder: Path, construct: str, dialect: str) -> str:
    """What the construct becomes, without the query around it and without the line ends of pretty printing."""
    is_condition = construct.startswith("WHERE ")
    value, condition = ("CAST(x AS BIGINT)", construct[6:]) if is_condition else (construct, "TRUE")
    path = folder / "t_v1.sql"
    path.write_text(TEXT.format(value=value, condition=condition))
    query = read_query(path)
    bound(query, dialect, {})  # is read back
    line = re.sub(r" (?=\))|(?<=\() ", "", " ".join(render(query, dialect).split("\n", 1)[1].split()))
    match = re.fullmatch(
        r"SELECT .*? AS .k.?, (.*) AS .?v.? FROM .?t.? WHERE (.*) ORDER BY .*", line.replace(" k,", " .k,")
    )
    assert match, line
    return f"WHERE {match[2]}" if is_condition else match[1]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("construct", CONSTRUCTS, ids=lambda construct: construct["duckdb"])
def test_a_construct_is_written_so_that_the_engine_answers_alike_or_is_refused(
    tmp_path: Path, construct: dict[str, str], dialect: str
) -> None:
    wanted = construct[dialect]
    if wanted.startswith("refused: "):
        with pytest.raises(NotRenderable, match=re.escape(f"not for {dialect}: {wanted[9:]}")):
            written(tmp_path, construct["duckdb"], dialect)
    else:
        assert written(tmp_path, construct["duckdb"], dialect).removeprefix("WHERE ") == wanted


def test_the_constructs_cover_every_cast_function_and_operator_of_the_subset() -> None:
    """A part that is added to the subset is added to the table."""
    met = {
        type(node)
        for construct in CONSTRUCTS
        for node in parse_one(construct["duckdb"].removeprefix("WHERE "), dialect="duckdb").walk()
    }
    elsewhere = {"select", "from", "table", "tablealias", "join", "where", "order", "ordered", "alias", "placeholder"}

    assert {kind.__name__ for kind in _PARTS if kind.__name__.lower() not in elsewhere} <= {
        kind.__name__ for kind in met
    }


@pytest.mark.parametrize(
    ("dialect", "order"),
    [
        ("postgres", "origin, at"),
        ("snowflake", "origin, at"),
        ("bigquery", "`origin` NULLS LAST, `at` NULLS LAST"),
        ("spark", "`origin` NULLS LAST, `at` NULLS LAST"),
        ("trino", '"origin", "at"'),
    ],
)
def test_nulls_come_last_where_the_engine_would_put_them_first(tmp_path: Path, dialect: str, order: str) -> None:
    path = tmp_path / "t_v1.sql"
    text = TEXT.format(value="CAST(at AS TIMESTAMPTZ)", condition="TRUE").replace(" AS v", " AS at")
    path.write_text(
        text.replace("CAST(k AS INTEGER) AS k", "CAST(o AS VARCHAR) AS origin")
        .replace("BY k", "BY origin, at")
        .replace(": k\n", ": origin, at\n")
    )

    assert " ".join(render(read_query(path), dialect).split("ORDER BY")[1].split()) == order


@pytest.mark.parametrize(
    ("dialect", "join"),
    [
        ("postgres", 'FROM t AS a LEFT JOIN u USING (k, "user")'),
        ("snowflake", "FROM t AS a LEFT JOIN u USING (k, user)"),
        ("bigquery", "FROM `t` AS `a` LEFT JOIN `u` USING (`k`, `user`)"),
        ("spark", "FROM `t` AS `a` LEFT JOIN `u` USING (`k`, `user`)"),
        ("trino", None),
    ],
)
def test_a_join_by_using_is_kept_where_the_engine_knows_its_columns(
    tmp_path: Path, dialect: str, join: str | None
) -> None:
    path = tmp_path / "t_v1.sql"
    text = TEXT.format(value="CAST(u.x AS BIGINT)", condition="TRUE").replace("CAST(k ", "CAST(a.k ")
    path.write_text(text.replace("FROM t", "FROM t AS a LEFT JOIN u USING (k, user)"))
    query = read_query(path)

    if join is None:
        with pytest.raises(NotRenderable, match=r"t_v1\.sql:9: not for trino: after USING .* write ON"):
            render(query, dialect)
    else:
        assert join in " ".join(render(query, dialect).split())
