"""Log lines: one JSON object each, for whoever collects them; written at once, and never waited for.

A line that cannot be written is the last one: the log ends, one line on stderr says so, and the command goes on.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# In every line, null where it is not known; others follow where an event has more to say.
FIELDS = ("ts", "level", "event", "command", "process", "job", "as_of", "run_id", "phase", "rows", "bytes", "ms")
STDERR = "-"
_PATIENCE_MS = 1000


def _nowhen() -> datetime:
    return datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Log:
    """Where lines go, and what all of them say; without a place to write, nothing is said."""

    write: Callable[[str], None] | None = None
    clock: Callable[[], datetime] = _nowhen
    known: Mapping[str, object] = field(default_factory=dict)

    def of(self, **known: object) -> Log:
        """The same log, whose lines say this too."""
        return replace(self, known={**self.known, **known})

    def say(self, event: str, level: str = "info", /, **found: object) -> None:
        """One line."""
        if self.write is None:
            return
        told = {"ts": self.clock().astimezone(UTC).isoformat(), "level": level, "event": event, **self.known, **found}
        self.write(json.dumps({**dict.fromkeys(FIELDS), **told}, default=_plain) + "\n")

    @contextmanager
    def timed(self, event: str, **found: object) -> Iterator[dict[str, object]]:
        """One line when it is over, with its milliseconds and what was put into the dict; an error if it broke off."""
        line, level, began = dict(found), "error", time.monotonic()
        try:
            yield line
            level = "info"
        finally:
            self.say(event, level, ms=round((time.monotonic() - began) * 1000), **line)

    @contextmanager
    def phase(self, name: str) -> Iterator[dict[str, object]]:
        """The same, of one phase of a night."""
        with self.timed("phase", phase=name) as line:
            yield line


SILENT = Log()


class Lines:
    """The end of a file, a pipe or stderr; after the first line that it does not take, nothing."""

    def __init__(self, place: str, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._descriptor: int | None = None
        try:
            self._descriptor = _opened(place)
        except (OSError, ValueError) as error:
            self._end(reason(error))

    def write(self, line: str) -> None:
        """Write a line in one piece, so that those of several processes do not mix; or give up."""
        if self._descriptor is None:
            return
        try:
            taken = _write(self._descriptor, line.encode())
        except OSError as error:
            self._end(reason(error))
        else:
            if not taken:
                self._end("it takes no more")

    def close(self) -> None:
        """Write no more."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None

    def _end(self, why: str) -> None:
        self.close()
        self._warn(f"SCORE_LOG: {why}; no lines are written from here on, and the command goes on without them")


def _opened(place: str) -> int | None:
    """A descriptor of its own; a pipe that nobody reads is an error and not a wait."""
    if place == STDERR:
        return None if sys.stderr is None else os.dup(sys.stderr.fileno())
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    return os.open(place, flags, 0o644)


def _write(descriptor: int, line: bytes) -> bool:
    """Whether all of it was written, to a reader that may be slow but not asleep."""
    ready = select.poll()
    ready.register(descriptor, select.POLLOUT)
    return bool(ready.poll(_PATIENCE_MS)) and os.write(descriptor, line) == len(line)


def reason(error: Exception) -> str:
    """What the system says of a failure, and no more: the text of an exception may hold a URL."""
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)
