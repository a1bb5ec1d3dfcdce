"""How one call of the program is told to those who asked for it: the log, the textfile, the dead man's switch."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.telling.log import SILENT, Lines, Log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from jobs.exits import Failure
    from jobs.project import Project
    from jobs.settings import Told
    from jobs.telling.metrics import Figures


@dataclass(slots=True)
class Teller:
    """What is known of a call so far; before `begin` nothing is told. What goes wrong here is one line on stderr."""

    told: Told
    clock: Callable[[], datetime]
    warn: Callable[[str], None]
    project: Callable[[], Project]
    log: Log = SILENT
    figures: Mapping[str, Figures] = field(default_factory=dict)
    said: str = ""
    _lines: Lines | None = None
    _began_s: float = 0.0
    _job: str | None = None
    _nightly: bool = False

    def begin(self, command: str) -> Log:
        """The command starts; the log for its steps."""
        self._began_s = time.monotonic()
        if self.told.log:
            self._lines = Lines(self.told.log, self.warn)
            self.log = Log(self._lines.write, self.clock, {"command": command, "process": os.getpid()})
        self.log.say("started")
        return self.log

    def begin_nightly(self, command: str, job: str | None) -> Log:
        """The nightly command starts, for a job or all of them: the switch hears of it, and there will be figures."""
        log = self.begin(command)
        self._nightly, self._job = True, job
        self._ping("start", None)
        return log

    def done(self, figures: Mapping[str, Figures], said: str) -> None:
        """What became of the nights, by job, and in a line each."""
        self.figures, self.said = figures, said

    def failed(self, failure: Failure) -> None:
        """What the command ends with."""
        self.said = self.said or failure.message
        self.log.say("failed", "error", code=failure.code, name=failure.name, message=failure.message)

    def end(self, code: int) -> None:
        """The command is over, and its exit code decided. Who wants it to stop now stops the telling only."""
        try:
            self.log.say("ended", "error" if code else "info", code=code, ms=round(self._seconds() * 1000))
            if self._nightly:
                self._ping("fail" if code else "", self.said)
                self._write_metrics(code)
            if self._lines:
                self._lines.close()
        except (SystemExit, KeyboardInterrupt):
            return

    def _seconds(self) -> float:
        return time.monotonic() - self._began_s

    def _write_metrics(self, code: int) -> None:
        if not self.told.metrics:
            return
        from jobs.telling.harmless import harmless  # noqa: PLC0415  what nobody asked for is not loaded
        from jobs.telling.metrics import problem_of  # noqa: PLC0415

        problem, at, seconds = problem_of(self.told.metrics), self.clock(), self._seconds()
        if problem:
            self.warn(f"SCORE_METRICS {problem}; no figures are written")
            return
        harmless("SCORE_METRICS", lambda: self._figures_into(Path(self.told.metrics), code, at, seconds), self.warn)

    def _figures_into(self, path: Path, code: int, at: datetime, seconds: float) -> None:
        from jobs.definition import job_names  # noqa: PLC0415  it is slow to import
        from jobs.telling.metrics import Figures, write_metrics  # noqa: PLC0415

        jobs = job_names(self.project())
        ours = {job: self.figures.get(job, Figures(code)) for job in jobs if self._job in {None, job}}
        write_metrics(path, ours, jobs, at, seconds)

    def _ping(self, ending: str, body: str | None) -> None:
        if not self.told.ping:
            return
        from jobs.telling.harmless import harmless  # noqa: PLC0415  what nobody asked for is not loaded
        from jobs.telling.ping import ping, problem_of  # noqa: PLC0415

        problem = problem_of(self.told.ping)
        if problem:
            self.warn(f"SCORE_PING {problem}; nobody is told")
            return
        harmless("SCORE_PING", lambda: ping(self.told.ping, ending, body), self.warn)
