"""The program in processes of its own that begin at once, forked from one that has imported all and done nothing.

A process that has used DuckDB, Polars or LightGBM has threads, and cannot be forked safely; the one between never did.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from dataclasses import dataclass
from functools import cache
from multiprocessing import forkserver
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from multiprocessing.context import ForkServerContext, ForkServerProcess

ROOT = Path(__file__).resolve().parents[1]
_LONG_S = 120.0


@cache
def fork_server() -> ForkServerContext:
    """Where processes come from; it ends with this process."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.preloaded", "tests.processes"])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(ROOT)  # it imports before it is told where this process imports from
    try:
        forkserver.ensure_running()
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before
    return context


@dataclass(frozen=True)
class Program:
    """One call of the program in a process of its own, and where it prints."""

    process: ForkServerProcess
    printed: Path

    @property
    def out(self) -> str:
        """What it printed on stdout until now."""
        return self.printed.with_suffix(".out").read_text(encoding="utf-8", errors="replace")

    @property
    def err(self) -> str:
        """What it printed on stderr until now."""
        return self.printed.with_suffix(".err").read_text(encoding="utf-8", errors="replace")

    def ended(self, within_s: float = _LONG_S) -> int:
        """Its exit code, or minus the signal that killed it; one that does not end is killed, which is an error."""
        self.process.join(within_s)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
            raise TimeoutError(f"it had not ended after {within_s} s: {self.err}")
        return self.process.exitcode

    def killed_after(self, seconds: float) -> int:
        """Its exit code; it is killed if it still works then."""
        self.process.join(seconds)
        self.process.kill()
        return self.ended()


def start(arguments: tuple[str, ...], environ: Mapping[str, str], printed: Path) -> Program:
    """Start the program with these arguments in that environment, and in no other."""
    return Program(in_process(_program, arguments, dict(environ), str(printed)), printed)


def in_process[*Given](work: Callable[[*Given], object], *given: *Given) -> ForkServerProcess:
    """Start a function of ours in a process of its own, which ends with this one at the latest."""
    process = fork_server().Process(target=work, args=given, daemon=True)
    process.start()
    return process


def _program(arguments: tuple[str, ...], environ: dict[str, str], printed: str) -> None:
    """What `score` does, in a process that was forked for it."""
    from jobs.cli import main  # noqa: PLC0415  whoever starts processes need not load it

    os.environ.clear()
    os.environ.update(environ)
    for descriptor, suffix in ((1, ".out"), (2, ".err")):
        file = os.open(Path(printed).with_suffix(suffix), os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
        os.dup2(file, descriptor)
        os.close(file)
    sys.argv = ["score", *arguments]
    main()
