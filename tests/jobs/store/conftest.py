"""A home of the test's own, and other processes that hold, die or wait."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobs.store.home import Home, open_home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[3]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A new SCORE_HOME."""
    return open_home(tmp_path / "home")


@pytest.fixture
def process() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start Python on some lines with arguments, wait until it prints `ready`; killed when the test ends."""
    started: list[subprocess.Popen[str]] = []

    def start(lines: str, *arguments: object) -> subprocess.Popen[str]:
        one = subprocess.Popen(
            [sys.executable, "-c", lines, *map(str, arguments)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(one)
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
        return one

    yield start
    for one in started:
        one.kill()
        one.communicate()
