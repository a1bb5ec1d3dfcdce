"""The same rows in a DuckDB file and on a PostgreSQL server give the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.conftest import ServerWorld, World

WEEK = [f"2013-04-{day}" for day in range(11, 18)]
SAME = ("run_id", "snapshot_digest", "scores_digest", "model_version", "row_count", "as_of")


def test_a_week_of_nights_gives_the_same_runs_and_files_from_either_warehouse(
    world: World, server_world: ServerWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Digests, run ids and score files, byte for byte; the training set's snapshot too."""
    found = []
    for name, url in (("file", f"duckdb:///{world.warehouse}"), ("server", server_world.url)):
        home = tmp_path / name
        monkeypatch.setenv("SCORE_HOME", str(home))
        monkeypatch.setenv("SCORE_WAREHOUSE", url)
        assert world.run("train", "flight_delay", "--as-of", "2013-04-10").code == 0
        runs = [world.run("run", "--as-of", night, "--json").json["runs"][0] for night in WEEK]
        files = {
            path.relative_to(home): path.read_bytes()
            for path in home.rglob("*")
            if path.suffix == ".parquet" or path.name in {"model.txt", "manifest.json"}
        }
        found.append(([{key: run[key] for key in SAME} for run in runs], files))

    (runs_of_file, files_of_file), (runs_of_server, files_of_server) = found
    assert runs_of_server == runs_of_file
    assert files_of_server.keys() == files_of_file.keys()
    assert [str(path) for path, content in files_of_file.items() if files_of_server[path] != content] == []
    assert len(runs_of_file) == len(WEEK)
