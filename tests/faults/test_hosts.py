"""Hosts that differ, and hosts that give next to nothing: the same bytes."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from jobs.cli import call
from jobs.warehouse import engine
from tests.faults.conftest import NIGHT
from tests.processes import ROOT, in_process

if TYPE_CHECKING:
    from tests.faults.place import Place

ELSEWHERE = {
    "TZ": "Asia/Kolkata", "LC_ALL": "tr_TR.UTF-8", "LANG": "de_DE.UTF-8", "PYTHONHASHSEED": "77",
    "SCORE_THREADS": "3", "POLARS_MAX_THREADS": "3", "OMP_NUM_THREADS": "3",
}  # fmt: skip
_NOBODY = 65_534
PROGRAM = [sys.executable, "-m", "jobs", "run", "--as-of", NIGHT]


def test_another_zone_locale_hash_seed_umask_folder_and_number_of_threads_give_the_same_bytes(
    place: Place, undisturbed: dict[str, object]
) -> None:
    """Every file of the snapshot and the run, though others cannot read them."""
    done = subprocess.run(
        PROGRAM,
        env=place.environ(**ELSEWHERE, PYTHONPATH=str(ROOT), SCORE_HOME="home"),
        cwd=place.folder,
        umask=0o077,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), done.stderr
    assert place.facts() == undisturbed


def test_next_to_no_memory_for_duckdb_gives_the_same_bytes(
    place: Place, undisturbed: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not fit spills into staging."""
    for name, value in place.environ().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(engine._OFFLINE, "memory_limit", "30MB")
    monkeypatch.setitem(engine._OFFLINE, "threads", 1)

    assert call(["run", "--as-of", NIGHT]) == 0
    assert place.facts() == undisturbed
    assert place.left_over() == []


@pytest.mark.parametrize("streams", ["</dev/null >/dev/full 2>/dev/full", "<&- >&- 2>&-"])
def test_an_environment_of_two_variables_and_no_streams_is_enough(
    place: Place, undisturbed: dict[str, object], streams: str
) -> None:
    """No HOME, no PATH, no terminal, a log on a full disk: as bad as cron can be."""
    variables = {"SCORE_HOME": str(place.home), "SCORE_WAREHOUSE": place.warehouse}
    command = ["/bin/sh", "-c", f'exec "$@" {streams}', "sh", *PROGRAM]
    done = subprocess.run(command, env=variables, cwd=ROOT, start_new_session=True, check=False)

    assert done.returncode == 0
    assert place.facts() == undisturbed


def test_every_connection_is_made_where_extensions_are_switched_off() -> None:
    """No other module of ours calls DuckDB's connect, so none can look for an extension at night."""
    calls = [
        str(path.relative_to(ROOT))
        for room in ("jobs", "features", "models")
        for path in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "connect" and ast.unparse(node) == "duckdb.connect"
    ]

    assert calls == ["jobs/warehouse/engine.py"]


@pytest.mark.parametrize(
    "needs_one", ["SELECT * FROM 'https://127.0.0.1:1/x.parquet'", "SELECT * FROM read_xlsx('x.xlsx')", "LOAD spatial"]
)
def test_what_would_need_an_extension_is_refused_and_nothing_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needs_one: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with engine.connect() as con, pytest.raises(duckdb.Error):
        con.execute(needs_one).fetchall()
    assert list(tmp_path.iterdir()) == []


def _try_to_write(published: str, said: str) -> None:
    """Open the published file for writing, as somebody who does not own it."""
    if os.geteuid() == 0:
        os.setuid(_NOBODY)
    try:
        duckdb.connect(published).execute("CREATE TABLE mine (x INTEGER)")
    except duckdb.Error as error:
        Path(said).write_text(str(error), encoding="utf-8")


def test_an_analyst_cannot_open_the_published_file_for_writing(place: Place) -> None:
    """Its mode says so to everybody but root, its owner included; in a folder into which everybody may write."""
    with tempfile.TemporaryDirectory() as folder:
        published, said = Path(folder) / "scores.duckdb", Path(folder) / "said"
        shutil.copy(place.home / "scores.duckdb", published)
        Path(folder).chmod(0o777)
        if os.geteuid() == 0:
            os.chown(published, _NOBODY, _NOBODY)
        process = in_process(_try_to_write, str(published), str(said))
        process.join(30)

        assert process.exitcode == 0
        assert "Permission denied" in said.read_text()
        assert published.read_bytes() == (place.home / "scores.duckdb").read_bytes()
