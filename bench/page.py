"""The page of results, docs/benchmarks.md: each benchmark writes its own section, between two marks, and no other."""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
_LIBRARIES = ("duckdb", "polars", "lightgbm", "numba", "numpy", "pyarrow")
_HEAD = """# Benchmarks

What was measured, by which command, on which machine. Each section is written by its own command with `--write`, and
by nothing else. Single times say little about another machine; the ratios are what is promised.
"""


def write_section(name: str, title: str, text: str, page: Path = PAGE) -> None:
    """Put a section in its place on the page, or at its end if it is new; the others stay as they are."""
    before = page.read_text(encoding="utf-8") if page.exists() else _HEAD
    section = f"<!-- {name} -->\n## {title}\n\n{text.strip()}\n<!-- end of {name} -->\n"
    found = re.compile(rf"<!-- {re.escape(name)} -->\n.*?<!-- end of {re.escape(name)} -->\n", re.DOTALL)
    after = found.sub(lambda _: section, before) if found.search(before) else f"{before.rstrip()}\n\n{section}"
    page.write_text(after, encoding="utf-8")


def machine() -> str:
    """One line: the day, processor, cores, memory, system, versions of what does the work, and how busy it all was."""
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: {_processor()}, {len(os.sched_getaffinity(0))} cores, "
        f"{memory_gb:.0f} GB, {platform.system()} {platform.release()}; "
        f"Python {platform.python_version()}, {libraries}. Load average at the end: {os.getloadavg()[1]:.1f}."
    )


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table, padded, so that it can be read on a terminal too; all columns but the first to the right."""
    widths = [max(len(line[n]) for line in (head, *rows)) for n in range(len(head))]
    rule = tuple("-" * width if n == 0 else "-" * (width - 1) + ":" for n, width in enumerate(widths))
    return "\n".join(_line(line, widths) for line in (head, rule, *rows))


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    pairs = enumerate(zip(cells, widths, strict=True))
    padded = (cell.rjust(width) if n else cell.ljust(width) for n, (cell, width) in pairs)
    return f"| {' | '.join(padded)} |"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
