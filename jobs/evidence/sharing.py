"""Replays shared out among processes: a year of nights on every core, with the verdicts of one process in its order.

Processes and not threads, for most of a replay is Python's own work. Each has one thread in every library, replays a
stretch of neighbouring nights, which share most of their objects, and takes the last of the longest when its own is
done. Folders go to it and verdicts come back as lines of JSON; it ends with its input, so that none outlives this one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from collections import deque
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread
from typing import IO, TYPE_CHECKING, Any

from jobs.definition import load_job
from jobs.evidence.stages import Proven
from jobs.evidence.verifying import Verdict, verify_run
from jobs.project import Project
from jobs.store.home import Home
from jobs.warehouse.engine import use_threads

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jobs.screen import Tell

_PACKAGES = Path(__file__).parents[2]
_ONE_THREAD = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}


class ReplayerLost(Exception):
    """A process that replays ended before it was asked to."""


@dataclass(frozen=True, slots=True)
class Replayer:
    """One of the processes."""

    process: subprocess.Popen[str]

    def ask(self, folder: Path) -> Verdict:
        """Its verdict about the run in a folder.

        Raises:
            ReplayerLost: if there is none, for the process is gone.
            RuntimeError: with its trace, if it met a bug.
        """
        asked = _pipe(self.process.stdin)
        try:
            asked.write(f"{json.dumps(str(folder))}\n")
            asked.flush()
            line = _pipe(self.process.stdout).readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise ReplayerLost(
                f"a process that replayed {folder.parent.name} ended by itself (exit code {self.process.wait()}); is "
                "there memory enough? Free some, or replay in one process: --threads 1"
            )
        answer = json.loads(line)
        if "bug" in answer:
            raise RuntimeError(answer["bug"])
        return _verdict(answer)


def verify_apart(
    project: Project, home: Home, folders: Sequence[Path], processes: int, environ: Mapping[str, str], tell: Tell
) -> list[Verdict]:
    """The verdict about each run of a project's jobs, in the order of their folders, from so many processes.

    Errors as `Replayer.ask`.
    """
    shares = _shares(len(folders), processes)
    answers: SimpleQueue[tuple[int, Verdict | Exception]] = SimpleQueue()
    lock, verdicts = Lock(), dict[int, Verdict]()

    def work(replayer: Replayer, share: deque[int]) -> None:
        while (place := _next(share, shares, lock)) is not None:
            try:
                answers.put((place, replayer.ask(folders[place])))
            except Exception as error:  # noqa: BLE001  it is raised where somebody waits for it
                answers.put((place, error))
                return

    with ExitStack() as started:
        for share in shares:
            replayer = started.enter_context(_replayer(project, home, environ))
            Thread(target=work, args=(replayer, share), daemon=True).start()
        while len(verdicts) < len(folders):
            tell(f"replaying {len(folders)} runs in {processes} processes", len(verdicts) / len(folders))
            place, answer = answers.get()
            if isinstance(answer, Exception):
                raise answer
            verdicts[place] = answer
    return [verdicts[place] for place in range(len(folders))]


def _shares(count: int, processes: int) -> list[deque[int]]:
    """The places 0 to `count`, in as many stretches of nearly the same length."""
    ends = [count * n // processes for n in range(processes + 1)]
    return [deque(range(begin, end)) for begin, end in pairwise(ends)]


def _next(own: deque[int], shares: Sequence[deque[int]], lock: Lock) -> int | None:
    """The next place of one's own stretch, else the last of the longest; null if nothing is left."""
    with lock:
        if own:
            return own.popleft()
        longest = max(shares, key=len)
        return longest.pop() if longest else None


@contextmanager
def _replayer(project: Project, home: Home, environ: Mapping[str, str]) -> Iterator[Replayer]:
    """A process that replays runs of a project's jobs; it is ended however this ends, in the middle of a replay too."""
    packages = os.pathsep.join([str(_PACKAGES), *filter(None, [environ.get("PYTHONPATH")])])
    with subprocess.Popen(  # noqa: S603  of this program's own words
        [sys.executable, "-P", "-m", "jobs.evidence.sharing", str(home.root), str(project.folder or "")],
        env={**environ, **_ONE_THREAD, "PYTHONPATH": packages},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        process_group=0,  # what a terminal interrupts is the one that asks: it ends the others
    ) as process:
        try:
            yield Replayer(process)
        finally:
            process.kill()  # it only reads, and what it would still find nobody waits for
            with suppress(BrokenPipeError):
                _pipe(process.stdin).close()


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None, "each was asked for as a pipe"  # noqa: S101  a bug of ours
    return stream


def _verdict(answer: Mapping[str, Any]) -> Verdict:
    differences = {name: (there, here) for name, (there, here) in answer["differences"].items()}
    return Verdict(**{**answer, "differences": differences})


def main() -> None:
    """Answer every folder on stdin with a verdict on stdout."""
    use_threads(1)
    home, project, proven = Home(Path(sys.argv[1])), Project(Path(sys.argv[2]) if sys.argv[2] else None), Proven()
    answers, sys.stdout = sys.stdout, sys.stderr  # nothing else may get in between
    for line in sys.stdin:
        folder = Path(json.loads(line))
        try:
            answer = asdict(verify_run(load_job(folder.parent.parent.name, project), home, folder, proven))
        except Exception:  # noqa: BLE001  who asked raises it, and has a place for the trace
            answer = {"bug": traceback.format_exc()}
        answers.write(f"{json.dumps(answer)}\n")
        answers.flush()


if __name__ == "__main__":
    main()
