"""A command as a whole process: seconds, CPU seconds, and the most memory that it held."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process cost: by the clock, user and system seconds of all its threads, peak memory in MB."""

    seconds: float
    cpu_s: float
    peak_mb: float


def measure(command: Sequence[str | Path], env: Mapping[str, str], folder: Path, cwd: Path | None = None) -> Cost:
    """Run a command to its end; what it prints goes to a file in `folder`, and to the screen if it fails."""
    said = folder / "said.txt"
    with said.open("w") as out:
        arguments = [str(part) for part in command]
        began = time.perf_counter()
        child = subprocess.Popen(arguments, env={**os.environ, **env}, cwd=cwd, stdout=out, stderr=out)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {child.returncode}:\n{said.read_text()[-2000:]}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def medians(costs: Sequence[Cost]) -> Cost:
    """The median of each figure."""
    return Cost(
        statistics.median(cost.seconds for cost in costs),
        statistics.median(cost.cpu_s for cost in costs),
        max(cost.peak_mb for cost in costs),
    )


def ratio(of: Sequence[Cost], to: Sequence[Cost]) -> tuple[float, float, float]:
    """Median of the rounds' ratios in seconds, with the lowest and the highest: a round's two ran side by side."""
    ratios = sorted(a.seconds / b.seconds for a, b in zip(of, to, strict=True))
    return statistics.median(ratios), ratios[0], ratios[-1]
