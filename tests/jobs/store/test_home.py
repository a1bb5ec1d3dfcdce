"""SCORE_HOME: its layout, its names, and what a killed writer leaves in it."""

from __future__ import annotations

import signal
from datetime import date
from typing import TYPE_CHECKING

import pytest

from jobs.store.documents import DocumentDamaged, write_document
from jobs.store.home import Home, HomeUnknown, NameRefused, open_home, safe_name, settle, staging

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

STAGES = """
import os, sys
from pathlib import Path
from jobs.store.home import Home, staging
with staging(Home(Path(sys.argv[1]))) as folder:
    (folder / "half.parquet").write_bytes(b"half")
    print("ready", flush=True)
    sys.stdin.readline()
    os._exit(1)
"""
OPENS = """
import sys
from pathlib import Path
from jobs.store.home import open_home
print("ready", flush=True)
sys.stdin.readline()
open_home(Path(sys.argv[1]))
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_everything_has_its_place(tmp_path: Path) -> None:
    home, as_of = open_home(tmp_path / "new" / "home"), date(2013, 9, 1)
    root = tmp_path / "new" / "home"

    assert names(root) == ["format.json", "locks", "objects", "staging"]
    assert home.snapshots("job", as_of) == root / "snapshots" / "job" / "2013-09-01"
    assert home.runs("job", as_of) == root / "runs" / "job" / "2013-09-01"
    assert home.models("job") == root / "models" / "job"
    assert home.events("job") == root / "events" / "job"
    assert home.lock("job") == root / "locks" / "job.lock"
    assert home.published == root / "scores.duckdb"


def test_opening_a_home_again_changes_nothing(tmp_path: Path) -> None:
    open_home(tmp_path)
    format_file = (tmp_path / "format.json").read_bytes()

    assert open_home(tmp_path) == Home(tmp_path)
    assert (tmp_path / "format.json").read_bytes() == format_file


def test_a_relative_home_stays_where_it_was_when_the_program_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert open_home(tmp_path.__class__("var")).root == tmp_path / "var"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "../a", "a\n", "a\x00", "ü", "-a", "_a", "a b", "a'", "a" * 101, "a.b", "a\ud800"]
)
def test_what_is_no_name_makes_no_path(home: Home, name: str) -> None:
    for path in (home.snapshots, home.runs, home.models, home.events, home.lock):
        with pytest.raises(NameRefused, match="letters, digits"):
            path(name)


def test_a_name_of_letters_digits_and_bars_is_one() -> None:
    assert [safe_name(name) for name in ("a", "Flight_delay-2", "9", "a" * 100)]


def test_another_layout_is_refused(tmp_path: Path) -> None:
    write_document(tmp_path / "format.json", "home", {"layout": 2})

    with pytest.raises(HomeUnknown, match="has layout 2; this version knows 1"):
        open_home(tmp_path)


def test_a_damaged_format_is_not_overwritten(tmp_path: Path) -> None:
    open_home(tmp_path)
    (tmp_path / "format.json").write_bytes(b"")

    with pytest.raises(DocumentDamaged):
        open_home(tmp_path)


def test_stored_state_without_its_format_is_refused(tmp_path: Path) -> None:
    open_home(tmp_path)
    (tmp_path / "format.json").unlink()

    with pytest.raises(HomeUnknown, match=r"format\.json is missing beside stored state"):
        open_home(tmp_path)


def test_a_home_whose_making_was_cut_short_is_finished_by_the_next(tmp_path: Path) -> None:
    """The format stands first: a kill after it leaves no folders, and one before it leaves nothing of ours."""
    write_document(tmp_path / "format.json", "home", {"layout": 1})

    open_home(tmp_path)

    assert names(tmp_path) == ["format.json", "locks", "objects", "staging"]


def test_nothing_of_a_home_is_there_before_its_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed at that instant, the folder is still one that may become a home."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("jobs.store.home.write_document", killed)
        with pytest.raises(KeyboardInterrupt):
            open_home(tmp_path / "home")

    open_home(tmp_path / "home")


def test_several_processes_make_one_home(tmp_path: Path, process: Callable[..., subprocess.Popen[str]]) -> None:
    openers = [process(OPENS, tmp_path / "home") for _ in range(4)]
    for each in openers:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()

    assert [each.wait() for each in openers] == [0, 0, 0, 0]


@pytest.mark.parametrize("death", ["exit", "kill"])
def test_staging_of_a_dead_writer_is_dropped(
    home: Home, process: Callable[..., subprocess.Popen[str]], death: str
) -> None:
    writer = process(STAGES, home.root)
    assert len(names(home.root / "staging")) == 1
    if death == "kill":
        writer.send_signal(signal.SIGKILL)
    else:
        writer.communicate("\n")
    assert writer.wait() != 0
    assert len(names(home.root / "staging")) == 1

    open_home(home.root)

    assert names(home.root / "staging") == []


def test_staging_of_a_living_writer_stays(home: Home, process: Callable[..., subprocess.Popen[str]]) -> None:
    process(STAGES, home.root)
    there = names(home.root / "staging")

    open_home(home.root)

    assert names(home.root / "staging") == there
    assert (home.root / "staging" / there[0] / "half.parquet").read_bytes() == b"half"


def test_staging_without_an_owner_is_dropped_and_a_file_in_it_left(home: Home) -> None:
    """A writer killed between making its folder and taking its lock; what is no folder is nobody's of ours."""
    (home.root / "staging" / "1-00000000").mkdir()
    (home.root / "staging" / "note").write_text("?")

    open_home(home.root)

    assert names(home.root / "staging") == ["note"]


def test_staging_is_gone_afterwards_whatever_happened(home: Home) -> None:
    def fail() -> None:
        with staging(home) as folder:
            (folder / "half").mkdir()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with staging(home) as one, staging(home) as two:
        assert one != two

    assert names(home.root / "staging") == []


def test_what_is_settled_first_stays(home: Home) -> None:
    """Two processes that made the same snapshot: the second finds it there, and is content."""
    place = home.models("job") / "version"
    with staging(home) as folder:
        for name in ("first", "second"):
            (folder / name).mkdir()
            (folder / name / "manifest.json").write_text(name)
            settle(folder / name, place)

    assert names(place) == ["manifest.json"]
    assert (place / "manifest.json").read_text() == "first"


def test_only_a_folder_that_is_there_already_is_taken_for_settled(home: Home) -> None:
    """A file in its place is no version that somebody kept."""
    home.models("job").mkdir(parents=True)
    (home.models("job") / "version").write_text("a file")

    with staging(home) as folder:
        (folder / "version").mkdir()
        with pytest.raises(NotADirectoryError):
            settle(folder / "version", home.models("job") / "version")
