"""A released file is never edited: the list knows its bytes, and `sha256sum -c` reads the list."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from jobs.queries.check import read_query
from jobs.queries.released import (
    QueryEdited,
    QueryNotReleased,
    ReleaseListDamaged,
    find_queries,
    read_released,
    release,
    require_released,
)
from jobs.queries.source import QueryMissing, QueryRefused

if TYPE_CHECKING:
    from pathlib import Path

PLANES = """\
-- grain: one aircraft
-- role: reference
-- key: tailnum
-- known: none

SELECT CAST(tailnum AS VARCHAR) AS tailnum
FROM planes
ORDER BY tailnum
"""
AIRPORTS = PLANES.replace("tailnum", "faa").replace("planes", "airports")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    job = tmp_path / "flight_delay"
    job.mkdir()
    (job / "planes_v1.sql").write_text(PLANES)
    (job / "airports_v1.sql").write_text(AIRPORTS)
    return job


def test_a_release_adds_what_is_new_and_nothing_twice(folder: Path) -> None:
    assert release(folder) == ("airports_v1.sql", "planes_v1.sql")
    assert release(folder) == ()

    (folder / "planes_v2.sql").write_text(PLANES.replace("-- grain: one", "-- grain: each"))

    assert release(folder) == ("planes_v2.sql",)
    assert list(read_released(folder)) == ["airports_v1.sql", "planes_v1.sql", "planes_v2.sql"]
    assert sorted(path.name for path in folder.iterdir()) == [*read_released(folder), "released.txt"]


def test_sha256sum_reads_the_list(folder: Path) -> None:
    release(folder)

    subprocess.run(["sha256sum", "--check", "--strict", "released.txt"], cwd=folder, check=True, capture_output=True)


def test_a_query_passes_only_as_it_was_released(folder: Path) -> None:
    path = folder / "planes_v1.sql"
    with pytest.raises(QueryNotReleased, match="run `score release flight_delay`"):
        require_released(read_query(path))
    release(folder)
    require_released(read_query(path))

    path.write_text(PLANES.replace("FROM planes", "FROM planes -- a remark"))

    with pytest.raises(QueryEdited, match=r"planes_v1\.sql was edited .* restore it .* planes_v2\.sql"):
        require_released(read_query(path))


def test_nothing_is_released_beside_an_edited_file(folder: Path) -> None:
    release(folder)
    before = (folder / "released.txt").read_bytes()
    (folder / "planes_v1.sql").write_text(PLANES + "\n")
    (folder / "planes_v2.sql").write_text(PLANES)

    with pytest.raises(QueryEdited, match="planes_v1"):
        release(folder)
    assert (folder / "released.txt").read_bytes() == before


def test_nothing_is_released_where_a_released_file_is_gone(folder: Path) -> None:
    release(folder)
    (folder / "planes_v1.sql").unlink()

    with pytest.raises(QueryMissing, match=r"planes_v1\.sql was released and is gone"):
        release(folder)


def test_a_file_that_breaks_a_rule_keeps_all_from_being_released(folder: Path) -> None:
    (folder / "zones_v1.sql").write_text(PLANES.replace("ORDER BY tailnum\n", ""))

    with pytest.raises(QueryRefused, match=r"zones_v1\.sql"):
        release(folder)
    assert read_released(folder) == {}
    assert not (folder / "released.txt").exists()


@pytest.mark.parametrize(
    "line", ["", "abc  planes_v1.sql", "0" * 64 + " planes_v1.sql", "0" * 64 + "  ../planes_v1.sql"]
)
def test_a_damaged_list_is_refused_with_its_line(folder: Path, line: str) -> None:
    release(folder)
    with (folder / "released.txt").open("a") as file:
        file.write(line + "\n")

    with pytest.raises(ReleaseListDamaged, match=r"released\.txt:3"):
        read_released(folder)


def test_a_list_that_names_a_file_twice_is_refused(folder: Path) -> None:
    release(folder)
    listed = (folder / "released.txt").read_text()
    (folder / "released.txt").write_text(listed + listed)

    with pytest.raises(ReleaseListDamaged, match="names a file twice"):
        read_released(folder)


def test_queries_are_found_by_table_and_version(folder: Path) -> None:
    (folder / "planes_v2.sql").write_text(PLANES)

    found = find_queries(folder, {"planes": 2, "airports": 1})

    assert [(table, query.table, query.version) for table, query in found.items()] == [
        ("planes", "planes", 2),
        ("airports", "airports", 1),
    ]


@pytest.mark.parametrize("table", ["weather", "../flight_delay/planes", "planes\n", ""])
def test_a_query_that_is_not_there_is_missing_and_the_message_names_what_is(folder: Path, table: str) -> None:
    with pytest.raises(QueryMissing, match=r"there is airports_v1\.sql, planes_v1\.sql$"):
        find_queries(folder, {table: 1})
