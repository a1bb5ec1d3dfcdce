"""One writer a job: `flock` on a permanent file, beside the state and never deleted.

A lock on the data file would not do: a process that opens and closes a DuckDB file for reading drops the lock that it
holds on it.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_POLL_S = 0.2


class Busy(Exception):
    """Another process holds the lock."""


@contextmanager
def locked(path: Path, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the lock at `path`, waiting for it at most `wait_s` seconds.

    Raises:
        Busy: if another process holds it still; says which, and since when.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    try:
        _take(descriptor, path, time.monotonic() + wait_s)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()}, since {_started()}".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                holder = os.pread(descriptor, 200, 0).decode(errors="replace") or "a process that is just starting"
                raise Busy(f"{path.stem} is being worked on by {holder}; wait for it, or use --wait") from None
            time.sleep(_POLL_S)
        else:
            return


def _started() -> str:
    """When this process took the lock, for the reader of a message; no result depends on it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
