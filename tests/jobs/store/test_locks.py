"""One writer a job: two real processes and one lock."""

from __future__ import annotations

import re
import signal
import time
from typing import TYPE_CHECKING

import pytest

from jobs.store.locks import Busy, locked

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

HOLDS = """
import sys
from pathlib import Path
from jobs.store.locks import locked
with locked(Path(sys.argv[1])):
    print("ready", flush=True)
    sys.stdin.readline()
"""


def test_the_second_is_told_at_once_who_works_and_since_when(
    tmp_path: Path, process: Callable[..., subprocess.Popen[str]]
) -> None:
    holder = process(HOLDS, tmp_path / "flight_delay.lock")
    began = time.monotonic()

    with pytest.raises(Busy) as refused, locked(tmp_path / "flight_delay.lock"):
        pass

    assert time.monotonic() - began < 1
    assert re.search(
        rf"flight_delay is being worked on by process {holder.pid}, since \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
        str(refused.value),
    )


def test_who_waits_gets_the_lock_when_it_is_free(tmp_path: Path, process: Callable[..., subprocess.Popen[str]]) -> None:
    holder = process(HOLDS, tmp_path / "job.lock")
    assert holder.stdin is not None
    began = time.monotonic()
    with pytest.raises(Busy), locked(tmp_path / "job.lock", 0.3):
        pass
    assert time.monotonic() - began >= 0.3

    holder.stdin.write("\n")
    holder.stdin.flush()
    with locked(tmp_path / "job.lock", 30):
        assert holder.wait() == 0


def test_a_lock_dies_with_its_holder_and_its_file_stays(
    tmp_path: Path, process: Callable[..., subprocess.Popen[str]]
) -> None:
    path = tmp_path / "job.lock"
    holder = process(HOLDS, path)
    inode = path.stat().st_ino
    holder.send_signal(signal.SIGKILL)
    holder.wait()

    with locked(path):
        pass

    assert path.stat().st_ino == inode


def test_a_lock_is_not_inherited_by_what_its_holder_starts(
    tmp_path: Path, process: Callable[..., subprocess.Popen[str]]
) -> None:
    with locked(tmp_path / "job.lock"):
        process("print('ready', flush=True); input()")

    with locked(tmp_path / "job.lock"):
        pass


def test_a_failure_inside_lets_go(tmp_path: Path) -> None:
    with pytest.raises(KeyError), locked(tmp_path / "new" / "job.lock"):
        raise KeyError

    with locked(tmp_path / "new" / "job.lock"):
        pass


def test_it_is_held_within_one_process_too(tmp_path: Path) -> None:
    with locked(tmp_path / "job.lock"), pytest.raises(Busy), locked(tmp_path / "job.lock"):
        pass
