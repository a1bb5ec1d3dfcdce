"""Disks that are full or fail: 74, nothing acknowledged, what was there is whole, and the next run needs nobody."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobs.cli import call
from jobs.definition import load_job
from jobs.exits import failure_of, known_failures
from jobs.warehouse import engine
from jobs.warehouse.duckdb_file import open_duckdb_file
from tests.faults.conftest import NIGHT
from tests.faults.place import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_KIB = 1024
JOB = load_job("flight_delay")
MANY = "CREATE TEMP TABLE many AS SELECT hash(i) AS a, hash(i + 1) AS b, hash(i + 2) AS c FROM range(6000000) AS n(i)"


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str, str], Path]]:
    """Mounts small file systems, and takes them away in the end."""
    places: list[Path] = []

    def mount(name: str, size: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"a file system of its own needs root: {done.stderr.strip()}")
        places.append(folder)
        return folder

    yield mount
    for place in places:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def small_disk(place: Place, mounted: Callable[[str, str], Path]) -> Place:
    """The home on a disk of its own, with one published night."""
    home = mounted("disk", "48m") / "home"
    shutil.copytree(place.home, home)
    moved = Place(home, place.warehouse, place.folder)
    moved.run("run", "--as-of", "2013-04-11")  # the views of the home where it lies now
    return moved


def fill(disk: Path, left_kib: int) -> None:
    """Leave so many KiB free."""
    filler = disk / "filler"
    filler.unlink(missing_ok=True)
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    with filler.open("wb") as file:
        file.write(b"x" * max(free - left_kib * _KIB, 0))


def test_a_disk_that_is_full_at_any_moment_of_the_night_keeps_the_previous_state(
    small_disk: Place, undisturbed: dict[str, object]
) -> None:
    """In staging, at the event, at the views: each time a little later, until there is room for all of it.

    What was kept stays kept, so that each attempt comes further than the one before.
    """
    shown, reached, codes = undisturbed["shown"], set(), []
    for left_kib in count(0, 96):
        fill(small_disk.home.parent, left_kib)
        program = small_disk.start("run", "--as-of", NIGHT)
        codes.append(program.ended())
        if codes[-1] == 0:
            break
        assert codes[-1] == 74, program.err
        assert len(program.err.splitlines()) == 1
        assert "disk" in program.err
        assert program.out == ""
        assert small_disk.left_over() == []
        (small_disk.home.parent / "filler").unlink()
        assert small_disk.shown() == shown[:1]
        reached |= {kind for kind in ("snapshots", "runs") if list(small_disk.home.glob(f"{kind}/*/{NIGHT}/*"))}
        reached |= {"event"} if len(small_disk.events()) > 2 else set()

    assert len(codes) > 5
    assert reached == {"snapshots", "runs", "event"}
    small_disk.run("run", "--as-of", NIGHT)
    assert small_disk.facts() == undisturbed
    assert small_disk.left_over() == []


def test_a_full_disk_where_extraction_spills_is_no_fault_of_the_warehouse(
    small_warehouse: Path, tmp_path: Path, mounted: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """74 and not 69: DuckDB has less memory than rows need, and nowhere to put them; with room there it works."""
    monkeypatch.setitem(engine._OFFLINE, "memory_limit", "60MB")
    monkeypatch.setitem(engine._OFFLINE, "threads", 1)
    roomy = tmp_path / "roomy"
    roomy.mkdir()
    with open_duckdb_file(small_warehouse, JOB.calendar, 1, roomy) as extraction:
        extraction.con.execute(MANY)
        assert sum(path.stat().st_size for path in roomy.iterdir()) > 50_000_000
    with (
        open_duckdb_file(small_warehouse, JOB.calendar, 1, mounted("spill", "8m")) as extraction,
        pytest.raises(known_failures()) as refused,
    ):
        extraction.con.execute(MANY)

    failure = failure_of(refused.value)
    assert failure is not None
    assert failure.code == 74


def test_a_sync_that_fails_is_not_acknowledged_whatever_it_was_of(
    place: Place, undisturbed: dict[str, object], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """EIO once for each kind of file and folder of a night: 74, nothing is synced after it, the next run does it."""
    begun = place.home.with_name("begun")
    shutil.copytree(place.home, begun)
    codes, kinds = synced_by(place, monkeypatch)
    assert codes == [0]
    assert len(set(kinds)) > 15
    for kind in dict.fromkeys(kinds):
        shutil.rmtree(place.home)
        shutil.copytree(begun, place.home)
        capfd.readouterr()
        codes, after = synced_by(place, monkeypatch, kind)
        captured = capfd.readouterr()

        assert (kind, codes, after) == (kind, [74], [])
        assert (captured.out, len(captured.err.splitlines())) == ("", 1)
        assert place.shown() in (undisturbed["shown"][:1], undisturbed["shown"])
        assert len(place.events()) == 2 or not kind.startswith("events"), "what may not be durable was not decided"
        assert synced_by(place, monkeypatch)[0] == [0]
        assert place.facts() == undisturbed
        assert place.left_over() == []


def synced_by(place: Place, monkeypatch: pytest.MonkeyPatch, failing: str | None = None) -> tuple[list[int], list[str]]:
    """Score the night in this process; its exit code, and the kinds of files that were synced, after one failed.

    A kind is a path below the home without digests and process ids.
    """
    real, kinds, failed = os.fsync, [], []

    def fsync(descriptor: int) -> None:
        path = os.path.relpath(Path(f"/proc/self/fd/{descriptor}").readlink(), place.home)
        kind = re.sub(r"[0-9]+-[0-9a-f]{8}|[0-9a-f]{8,}|(?<=objects/)[0-9a-f]{2}|(?<=[.])[0-9]+(?=[.]tmp)", "*", path)
        if kind == failing and not failed:
            failed.append(kind)
            kinds.clear()
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        kinds.append(kind)
        real(descriptor)

    with monkeypatch.context() as patch:
        for name, value in place.environ().items():
            patch.setenv(name, value)
        patch.setattr("os.fsync", fsync)
        return [call(["run", "--as-of", NIGHT])], kinds
