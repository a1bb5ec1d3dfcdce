"""One thing that is wrong with a job: where it stands, what it is, what to do; and how a refusal becomes one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.exits import failure_of

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIG, DATA = 78, 65
_PLACE = re.compile(r"(?P<file>[^\n:]*?\.(?:toml|py|sql|txt))(?::(?P<line>\d+))?: (?P<rest>.*)", re.DOTALL)
_OF_DATA = frozenset({DATA})


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something that is wrong: the file, its line (0: the whole file), what it is, what to do, and its exit code."""

    file: str
    line: int
    problem: str
    what_to_do: str = ""
    code: int = CONFIG

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.problem}{f'; {self.what_to_do}' if self.what_to_do else ''}"


@dataclass(frozen=True, slots=True)
class Checked:
    """What the check of one job found: the problems, by file and line, and what was not looked at, and why."""

    job: str
    problems: tuple[Problem, ...]
    not_looked_at: tuple[str, ...]
    looked_at: tuple[str, ...]


def exit_code(checked: Sequence[Checked]) -> int:
    """78 if anything in a file is wrong, 65 if only rows are, else 0."""
    codes = {problem.code for each in checked for problem in each.problems}
    return (CONFIG if codes - _OF_DATA else DATA) if codes else 0


def problem_of(error: BaseException, file: Path, line: int = 0) -> Problem:
    """A refusal as a problem: at the place that its message begins with, else at the one that is given."""
    failure = failure_of(error)
    text = failure.message if failure else f"{type(error).__name__}: {' '.join(str(error).split())}"
    code = DATA if failure and failure.code == DATA else CONFIG
    found = _PLACE.fullmatch(text)
    if found:
        named = Path(found["file"])
        file = file if named == Path(file.name) else named  # some messages say a file's name alone
        line, text = int(found["line"] or line), found["rest"]
    what, to_do = parted(text)
    return Problem(str(file), line, what, to_do, code)


def parted(text: str) -> tuple[str, str]:
    """What is wrong and what to do, which our messages say after the last semicolon."""
    what, mark, to_do = text.rpartition("; ")
    return (what, to_do) if mark else (text, "")
