"""Places where a test, or a drill, kills the program: inert unless the environment names one.

`SCORE_KILL_AT=run-kept` kills the process when it gets there, as a power cut would; `run-kept:TERM`, `:INT` and `:STOP`
send it that signal instead.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

VARIABLE = "SCORE_KILL_AT"

POINTS = (
    "table-extracted",  # the first table lies in staging, the others do not
    "object-half-written",  # in the middle of a file of rows
    "snapshot-objects-kept",  # the objects are in the store, no manifest names them
    "snapshot-beside",  # its manifest is written, its folder not renamed
    "run-files-written",  # scores and features lie in staging, without a manifest
    "run-beside",
    "run-kept",  # the run is there, no event shows it
    "event-half-written",  # the event's temporary file, half of it
    "published",  # the event is there, the analysts' views do not show it
    "views-beside",  # they are built, not switched
    "views-switched",  # nobody was told yet
    "version-files-written",  # a model and its golden rows lie in staging, without a manifest
    "version-beside",
    "version-kept",  # the model version is there, nobody promoted it
)
_SIGNALS = {"KILL": signal.SIGKILL, "TERM": signal.SIGTERM, "INT": signal.SIGINT, "STOP": signal.SIGSTOP}
_ARMED: dict[str, signal.Signals] = {}


class KillPointUnknown(Exception):
    """The environment names a place that there is not."""


def arm(environ: Mapping[str, str]) -> None:
    """Arm the point that the environment names, and no other.

    Raises:
        KillPointUnknown: listing those that there are.
    """
    _ARMED.clear()
    if wanted := environ.get(VARIABLE):
        name, _, sent = wanted.partition(":")
        if name not in POINTS or (sent or "KILL") not in _SIGNALS:
            raise KillPointUnknown(
                f"{VARIABLE} names no kill point; it is one of {', '.join(POINTS)}, and may end in :TERM, :INT or :STOP"
            )
        _ARMED[name] = _SIGNALS[sent or "KILL"]


def reach(name: str, *, half: Path | None = None) -> None:
    """Die here if this point is armed, once; who is killed had written only the first half of the file `half`."""
    if name in _ARMED:
        sent = _ARMED.pop(name)
        if half and sent == signal.SIGKILL:
            os.truncate(half, half.stat().st_size // 2)
        os.kill(os.getpid(), sent)
