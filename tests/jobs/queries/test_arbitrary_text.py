"""Whatever stands in an SQL file, it is a query or it is refused: never another exception."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.queries.check import Query, check_queries, read_query
from jobs.queries.source import QueryRefused

if TYPE_CHECKING:
    from pathlib import Path

DECLARATION = """\
-- grain: one
-- role: history
-- key: a
-- event time: e
-- known time: k
-- known: appended
-- lookback: 1 day

"""
_VOCABULARY = """\
SELECT FROM WHERE ORDER BY AS CAST TRY_CAST ( ( ) ) , , . :: = <> < <= >= + - * / ; 'x' 'now' 1 2.5 "q" $start $end
$cutoff a b e k t u t.a u.b AND OR NOT IS NULL IN BETWEEN CASE WHEN THEN ELSE END JOIN INNER LEFT ON USING UNION ALL
WITH DISTINCT LIMIT GROUP HAVING OVER VALUES EXISTS INTERVAL DATE TIMESTAMPTZ INTEGER DOUBLE VARCHAR DECIMAL TRUE
count now greatest floor coalesce IF EXTRACT COLLATE DESC NULLS FIRST PIVOT UNPIVOT TABLESAMPLE LATERAL COPY INSERT
STRUCT MAP ARRAY FILTER WITHIN ANY ROW FOR AT ZONE TIME LIKE ESCAPE EXCLUDE REPLACE COLUMNS"""
_PROPER = """\
SELECT CAST ( a AS INTEGER ) AS a , CAST ( e AS TIMESTAMPTZ ) AS e , CAST ( k AS TIMESTAMPTZ ) AS k FROM t
WHERE e >= $start AND e < $end AND k < $cutoff ORDER BY a , k"""


@st.composite
def nearly_proper(draw: st.DrawFn) -> str:
    """The words of a proper query, some of them replaced, doubled or dropped."""
    words = _PROPER.split()
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(words) - 1))
        words[at : at + draw(st.integers(0, 2))] = draw(st.lists(st.sampled_from(_VOCABULARY.split()), max_size=3))
        words = words or ["SELECT"]
    return " ".join(words)


sentences = st.lists(st.sampled_from(_VOCABULARY.split()), max_size=30).map(lambda words: "SELECT " + " ".join(words))
texts = st.one_of(st.text(max_size=200), sentences, nearly_proper(), nearly_proper())


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=texts, declared=st.booleans())
def test_arbitrary_text_is_a_query_or_refused(tmp_path: Path, text: str, *, declared: bool) -> None:
    path = tmp_path / "any_v1.sql"
    path.write_bytes(((DECLARATION if declared else "") + text).encode("utf-8", errors="surrogatepass"))

    assert_read_or_refused(path)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=100))
def test_arbitrary_bytes_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any_v1.sql"
    path.write_bytes(content)

    assert_read_or_refused(path)


def assert_read_or_refused(path: Path) -> None:
    lines = path.read_bytes().count(b"\n") + 1
    refusals = check_queries([path])
    assert all("\n" not in str(refused) and 1 <= refused.line <= lines for refused in refusals)
    if refusals:
        with pytest.raises(QueryRefused, match=re.escape(str(refusals[0]))):
            read_query(path)
    else:
        assert isinstance(read_query(path), Query)
