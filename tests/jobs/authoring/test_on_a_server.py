"""`score new` and `score check` on PostgreSQL, whose types and order of text are its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from jobs.cli import call
from tests import postgres

if TYPE_CHECKING:
    from pathlib import Path

NIGHT = "2024-06-20"
CLAIMS = """
    CREATE TABLE claims AS
    SELECT
        md5(n::text)::uuid AS claim,
        'Member ' || chr(97 + n % 26) || n % 40 AS member,
        timestamp '2024-01-01' + n * interval '37 minutes' AS filed,
        timestamp '2024-01-01 00:05' + n * interval '37 minutes' AS loaded,
        (n % 1000) / 7.0 AS costs,
        CASE WHEN n % 50 = 0 THEN NULL ELSE (n % 9)::smallint END AS level
    FROM generate_series(1, 6700) AS series(n)
"""


@pytest.fixture
def claims(postgres_server: postgres.Server, worker_id: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with one table; its URL."""
    url = postgres_server.make(f"claims_{worker_id}")
    postgres.run(url, CLAIMS)
    postgres.run(url, "CREATE SCHEMA other")
    postgres.run(url, 'CREATE TABLE other."Notes" (note text)')
    monkeypatch.setenv("SCORE_WAREHOUSE", url)
    monkeypatch.delenv("SCORE_HOME", raising=False)
    return url


def test_a_table_of_a_server_becomes_a_job_that_runs_and_is_verified(
    tmp_path: Path, claims: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A uuid for a key, text in another order than bytes, numbers without a scale, clocks without a zone."""
    folder = tmp_path / "claims"
    assert claims.startswith("postgresql://")

    assert call(["--project", str(folder), "new", "costs", "--table", "claims"]) == 2
    said = capfd.readouterr().err
    assert "--entity COLUMN (claim" not in said
    assert "--entity COLUMN (member" in said

    options = ("--entity", "member", "--event-time", "filed", "--known-time", "loaded", "--predict", "sum")
    more = ("--amount", "costs", "--horizon-days", "7", "--json")
    assert call(["--project", str(folder), "new", "costs", "--table", "claims", *options, *more]) == 0
    written = json.loads(capfd.readouterr().out)
    assert written["problems"] == []
    assert any("filed is TIMESTAMP, without a time zone" in each for each in written["remarks"])
    assert (folder / "sql/costs/postgres/claims_v1.sql").is_file()

    for command in (["train", "costs", "--as-of", NIGHT], ["run", "costs", "--as-of", NIGHT], ["verify"]):
        assert call(["--project", str(folder), *command]) == 0, capfd.readouterr().err


def test_a_rendering_that_is_not_what_it_was_and_a_column_that_is_gone_are_told(
    tmp_path: Path, claims: str, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "claims"
    options = ("--table", "claims", "--entity", "member", "--event-time", "filed", "--known-time", "none")
    assert call(["--project", str(folder), "new", "more", *options, "--predict", "any", "--horizon-days", "7"]) == 0
    (folder / "sql/more/postgres/labels_v1.sql").unlink()
    postgres.run(claims, "ALTER TABLE claims RENAME member TO person")
    capfd.readouterr()

    assert call(["--project", str(folder), "check", "--as-of", NIGHT, "--json"]) == 78
    [job] = json.loads(capfd.readouterr().out)["jobs"]
    said = {each["problem"]: each["file"] for each in job["problems"]}

    assert any("so nobody reviewed what postgres would be asked" in each for each in said)
    assert any("the source table claims has no column member" in each for each in said)
