"""Follows docs/tutorial.md as a reader does, in an empty folder. As a program, it renews the outputs that stand there.

    python -m tests.tutorial    # and says how long each command took

A line that holds a path alone says where the next block belongs; in a `diff`, what to change there. Of a block
`console` the lines that begin with `$ ` are run, one shell for all; `install` is left to the tests of the package,
`postgresql` to those that have a server.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[1]
TUTORIAL = ROOT / "docs" / "tutorial.md"
LEFT_OUT = "..."
_BLOCK = re.compile(r"(?:^`(?P<path>[^`\n]+)`\n\n)?^```(?P<kind>[^\n]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_END = "--- end of the command, exit code "
_TIMEOUT_S = 600
_ID = re.compile(r"\b[0-9a-f]{32,64}\b|\b[0-9a-f]{12}\b")
# What is another each time, or on another machine: ids, digits after the point, instants, seconds, widths of columns.
_VARIES = (
    (_ID, "ID"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?(\+\d\d:\d\d)?"), "INSTANT"),
    (re.compile(r"\d+\.\d+"), "N.N"),
    (re.compile(r"\d+ modules"), "N modules"),
    (re.compile(r"[ \t]+"), " "),
)


@dataclass(frozen=True)
class Command:
    """One line to type, and the lines that should answer."""

    line: str
    answer: tuple[str, ...]


@dataclass(frozen=True)
class Block:
    """One fenced block: where it belongs, its words after the fence, its text, and where that stands in the page."""

    path: str | None
    kind: tuple[str, ...]
    text: str
    begins: int
    ends: int

    def commands(self) -> Iterator[Command]:
        """The commands of a console."""
        for piece in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            line, *answer = piece.rstrip("\n").split("\n")
            yield Command(line, tuple(answer))


@dataclass
class Reader:
    """One shell in an empty folder."""

    folder: Path
    environ: Mapping[str, str]
    took_s: list[tuple[str, float]] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)
    code: int = 0
    _shell: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._shell = subprocess.Popen(
            ["bash", "--norc"],
            cwd=self.folder,
            env=dict(self.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._shell
        assert self._shell.stdin
        self._shell.stdin.close()
        self._shell.wait(timeout=_TIMEOUT_S)
        assert self._shell.stdout
        self._shell.stdout.close()

    def run(self, line: str) -> tuple[str, ...]:
        """What a command answers on both streams, without the folder; `code` is its exit code."""
        assert self._shell
        assert self._shell.stdin
        assert self._shell.stdout
        for of_the_page, found in self.ids.items():
            line = line.replace(of_the_page, found)
        began = time.monotonic()
        self._shell.stdin.write(f'{line}\necho "{_END}$?"\n')
        self._shell.stdin.flush()
        lines = []
        while True:
            answer = self._shell.stdout.readline()
            assert answer, f"the shell ended in: {line}"
            text, mark, code = answer.rstrip("\n").partition(_END)
            if text or not mark:
                lines.append(text.replace(str(self.folder), LEFT_OUT).rstrip())
            if mark:
                self.code = int(code)
                self.took_s.append((line, time.monotonic() - began))
                return tuple(lines)

    def learn(self, expected: tuple[str, ...], found: tuple[str, ...]) -> None:
        """Take note of what the ids that the page shows are called here, for commands that name them."""
        both = (_ID.findall("\n".join(lines)) for lines in (expected, found))
        self.ids.update(zip(*both, strict=False))

    def write(self, block: Block) -> None:
        """Write a file of the page, or change one as its diff says."""
        assert block.path
        path = self.folder / "shop" / block.path
        if block.kind[0] != "diff":
            path.write_text(block.text, encoding="utf-8")
            return
        text = path.read_text(encoding="utf-8")
        for before, after in changes(block.text):
            assert text.count(before) == 1, f"{block.path} has {text.count(before)} times: {before}"
            text = text.replace(before, after)
        path.write_text(text, encoding="utf-8")


def changes(diff: str) -> Iterator[tuple[str, str]]:
    """Each stretch of lines that go, with those that come in their place."""
    for stretch in re.findall(r"((?:^-.*\n)+)((?:^\+.*\n)*)", diff, flags=re.MULTILINE):
        before, after = ("".join(f"{line[1:]}\n" for line in lines.splitlines()) for lines in stretch)
        yield before, after


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of the page, in order."""
    for found in _BLOCK.finditer(page):
        yield Block(found["path"], tuple(found["kind"].split()), found["text"], found.start("text"), found.end("text"))


def alike(expected: tuple[str, ...], found: tuple[str, ...]) -> bool:
    """Whether an answer is the one of the page, but for what varies; `...` stands for any lines."""
    pattern = "".join(r"(?:.*\n)*" if line.strip() == LEFT_OUT else re.escape(plain(line)) + r"\n" for line in expected)
    return re.fullmatch(pattern, "".join(f"{plain(line)}\n" for line in found)) is not None


def plain(line: str) -> str:
    """A line without what varies."""
    for varies, instead in _VARIES:
        line = varies.sub(instead, line)
    return line.strip()


def environment(folder: Path) -> dict[str, str]:
    """That of a reader who has just installed the program: `score`, `python` and `psql` are found first."""
    programs = folder / "bin"
    programs.mkdir()
    for name, call in (
        ("score", f'{sys.executable} -m jobs "$@"'),
        ("python", f'{sys.executable} "$@"'),
        ("psql", f'{sys.executable} -c "{_PSQL}" "$@"'),
    ):
        (programs / name).write_text(f"#!/bin/sh\nexec {call}\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    ours = ("SCORE_", "UV")  # what uv runs is called otherwise in answers
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "passive"}


_PSQL = "import sys; from tests.postgres import run; run(sys.argv[-1], open(sys.argv[-2]).read())"


def renew() -> None:
    """Follow the page, write what was answered into it where it differs, and say how long each command took."""
    page = TUTORIAL.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "you"
        folder.mkdir()
        with Reader(folder, environment(Path(scratch))) as reader:
            pieces, last = [], 0
            for block in blocks(page):
                if block.kind == ("console",):
                    pieces += [page[last : block.begins], "".join(_answered(reader, each) for each in block.commands())]
                    last = block.ends
                elif block.path:
                    reader.write(block)
    TUTORIAL.write_text("".join([*pieces, page[last:]]), encoding="utf-8")
    for line, seconds in reader.took_s:
        print(f"{seconds:6.1f} s  {line[:100]}")  # noqa: T201  it is a program
    print(f"{sum(seconds for _, seconds in reader.took_s):6.1f} s  all {len(reader.took_s)} commands")  # noqa: T201


def _answered(reader: Reader, command: Command) -> str:
    found = reader.run(command.line)
    assert reader.code == 0, (command.line, found)
    if alike(command.answer, found):
        reader.learn(command.answer, found)
        found = command.answer
    for of_the_page, here in reader.ids.items():  # one run has one id in all of the page
        found = tuple(line.replace(here, of_the_page) for line in found)
    return "".join(f"{line}\n" for line in (f"$ {command.line}", *found))


if __name__ == "__main__":
    renew()
