"""What a person, or a program, gets to see: results on stdout, progress and failures on stderr."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from jobs.exits import Failure


@dataclass(frozen=True, slots=True)
class Screen:
    """Where one command prints: with `as_json` exactly one JSON document on stdout, else lines and tables."""

    as_json: bool

    def show(self, content: Mapping[str, object], lines: Callable[[], object]) -> None:
        """Print the result: as the JSON document, or by `lines`."""
        if self.as_json:
            print(json.dumps(content, indent=2, default=_plain, ensure_ascii=False))  # noqa: T201
        else:
            lines()

    def fail(self, failure: Failure, program: str) -> None:
        """Print one line that says what is wrong: on stderr, and as JSON where that was asked for."""
        if self.as_json:
            print(json.dumps({"error": error_json(failure)}, indent=2, ensure_ascii=False))  # noqa: T201
        self.warn(f"{program}: {failure.message}")

    def warn(self, text: str) -> None:
        """One line on stderr."""
        print(text, file=sys.stderr)  # noqa: T201


def error_json(failure: Failure) -> dict[str, object]:
    """A failure as JSON has it."""
    return {"code": failure.code, "name": failure.name, "message": failure.message}


def say(text: str = "") -> None:
    """One line on stdout."""
    print(text)  # noqa: T201


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
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = 400
    console.print(grid)


class Tell(Protocol):
    """Says what is being done now, and which share of the whole is done, where that is known."""

    def __call__(self, text: str, share: float | None = None, /) -> None:
        """Say it."""


def silent(_text: str, _share: float | None = None, /) -> None:
    """Progress that nobody watches."""


@contextmanager
def progress() -> Iterator[Tell]:
    """Show progress on stderr, only to a terminal: what is being done, a bar, the time so far."""
    if not sys.stderr.isatty():
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


def _plain(value: object) -> object:
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value)
