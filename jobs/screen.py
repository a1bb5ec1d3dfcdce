"""What a person, or a program, gets to see: results on stdout, progress and failures on stderr."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from io import StringIO
from shutil import get_terminal_size
from textwrap import shorten, wrap
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jobs.exits import Failure

_WIDE = 400  # columns of a table that no terminal cuts
_NARROW, _LEAST = 80, 20  # columns of a page, and what of them a last cell has at least
_BAR = 40  # columns of the longest bar
_EIGHTHS = " ▏▎▍▌▋▊▉█"


@dataclass(frozen=True, slots=True)
class Screen:
    """Where one command prints: with `as_json` exactly one JSON document on stdout, else lines and tables."""

    as_json: bool

    def show(self, content: Mapping[str, object], lines: Callable[[], object]) -> None:
        """Print the result: as the JSON document, or by `lines`."""
        if self.as_json:
            say(json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False))
        else:
            lines()

    def fail(self, failure: Failure, notice: str = "") -> None:
        """Print one line that says what is wrong: on stderr, and as JSON where that was asked for.

        A notice, of something that is not wrong, goes on in the same line.
        """
        self.show({"error": error_json(failure)}, lambda: None)
        self.warn("; ".join(filter(None, (failure.message, notice))))

    def warn(self, text: str) -> None:
        """One line on stderr."""
        _write("stderr", f"score: {text}")


def error_json(failure: Failure) -> dict[str, object]:
    """A failure as JSON has it."""
    return {"code": failure.code, "name": failure.name, "message": failure.message}


def say(text: str = "") -> None:
    """One line on stdout."""
    _write("stdout", text)


def _write(stream: str, text: str) -> None:
    """Print a line. A reader that went away, a full disk or a closed stream takes nothing from what was done."""
    file = getattr(sys, stream)
    if file is None:
        return
    try:
        file.write(text + "\n")
        file.flush()
    except OSError:
        setattr(sys, stream, None)
        os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())  # so that the end of the process finds nothing to do


def table(headings: Sequence[str], rows: Sequence[Sequence[object]], *, numbers: Sequence[str] = ()) -> None:
    """A table on stdout, as wide as it must be; columns in `numbers` stand to the right."""
    from rich.console import Console  # noqa: PLC0415  slow to import
    from rich.table import Table  # noqa: PLC0415

    grid = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        grid.add_column(heading, justify="right" if heading in numbers else "left", no_wrap=True)
    for row in rows:
        pairs = zip(headings, row, strict=True)
        grid.add_row(*(_cell(value, as_number=heading in numbers) for heading, value in pairs))
    text, terminal = StringIO(), sys.stdout is not None and sys.stdout.isatty()
    Console(file=text, force_terminal=terminal, width=_width(), highlight=False, markup=False).print(grid)
    say(text.getvalue().rstrip("\n"))


def entries(rows: Sequence[tuple[str, ...]]) -> None:
    """Lines of columns on stdout, of which the last goes on below itself where a terminal is too narrow for it."""
    indents = (
        [max((len(row[place]) for row in rows), default=0) + 2 for place in range(len(rows[0]) - 1)] if rows else []
    )
    room = _width() - sum(indents)
    for *cells, last in rows:
        first = "".join(cell.ljust(indent) for cell, indent in zip(cells, indents, strict=True))
        for line in wrap(last, max(room, 20), break_on_hyphens=False, break_long_words=False) or [""]:
            say((first + line).rstrip())
            first = " " * sum(indents)


def _width() -> int:
    terminal = sys.stdout is not None and sys.stdout.isatty()
    return get_terminal_size().columns if terminal else _WIDE


def narrowed(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """The rows of a table of texts, the last cell of each cut to what the terminal, or else a page, has left for it."""
    widths = [max(map(len, column)) + 2 for column in zip(headings, *rows, strict=True)]
    terminal = sys.stdout is not None and sys.stdout.isatty()
    left = max(_LEAST, (_width() if terminal else _NARROW) - sum(widths[:-1]))
    return [[*row[:-1], shorten(row[-1], left, placeholder=" ...")] for row in rows]


def bars(rows: Sequence[tuple[str, int]]) -> None:
    """One line a label on stdout: its count, and a bar as long as its share of the greatest; none is lost to sight."""
    wide, most = max(len(label) for label, _ in rows), max(count for _, count in rows)
    for label, count in rows:
        say(f"{label:>{wide}}  {count:>7,}  {_bar(count, most)}".rstrip())


def arrow() -> str:
    """What stands between before and after."""
    return "→" if _beyond_ascii() else "->"


def _bar(count: int, most: int) -> str:
    if not count:
        return ""
    if not _beyond_ascii():
        return "#" * -(-count * _BAR // most)
    whole, rest = divmod(-(-count * _BAR * 8 // most), 8)
    return _EIGHTHS[8] * whole + (_EIGHTHS[rest] if rest else "")


def _beyond_ascii() -> bool:
    """Whether stdout can show blocks and arrows."""
    try:
        f"{_EIGHTHS}→".encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


class Tell(Protocol):
    """Says what is being done now, and which share of the whole is done, where that is known."""

    def __call__(self, text: str, share: float | None = None, /) -> None:
        """Say it."""


def silent(_text: str, _share: float | None = None, /) -> None:
    """Progress that nobody watches."""


@contextmanager
def progress() -> Iterator[Tell]:
    """Show progress on stderr, only to a terminal: what is being done, a bar, the time so far."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield silent
        return
    from rich.console import Console  # noqa: PLC0415  slow to import
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (SpinnerColumn(), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def tell(text: str, share: float | None = None, /) -> None:
            bar.update(task, description=text, total=None if share is None else 1.0, completed=share or 0.0)

        yield tell


def _cell(value: object, *, as_number: bool) -> str:
    if value is None:
        return "-"
    if as_number and isinstance(value, float):
        return f"{value:.4f}"
    return f"{value:,}" if as_number and isinstance(value, int) else str(value)


def _plain(value: object) -> object:  # noqa: PLR0911  one line a kind
    """The same as JSON can say it: dates as ISO, what is no number as null, bytes as hex, anything else as text."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case date():
            return value.isoformat()
        case bytes():
            return value.hex()
        case Mapping():
            return {str(name): _plain(each) for name, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case _:
            return str(value)
