"""One SQL file as it lies on the disk, and how a refusal of it is worded."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_BYTES = 64 * 1024  # an extraction is a page; sqlglot recurses over anything larger at its own risk

_NAME = re.compile(r"(?P<table>[a-z][a-z0-9_]{0,62})_v(?P<version>[1-9][0-9]{0,5})\.sql")


class QueryRefused(Exception):
    """An SQL file that will not be run: one line, `path:line: reason`."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        self.path = path
        self.line = line
        self.reason = " ".join(reason.split())
        super().__init__(f"{path}:{line}: {self.reason}".replace("\n", " "))


class DeclarationRefused(QueryRefused):
    """An SQL file whose declaration is incomplete, unknown or contradicts itself."""


class QueryMissing(Exception):
    """An SQL file that was asked for is not there."""


@dataclass(frozen=True, slots=True)
class Source:
    """One version of one table's SQL: its bytes read once, so that text and fingerprint cannot differ."""

    path: Path
    table: str
    version: int
    text: str
    fingerprint: str


def file_name(table: str, version: int) -> str:
    """The name under which a table's SQL of that version lies in its job's folder."""
    return f"{table}_v{version}.sql"


def parse_name(name: str) -> tuple[str, int] | None:
    """Table and version of a file name; None if it is not the name of an SQL file of ours."""
    match = _NAME.fullmatch(name)
    return (match["table"], int(match["version"])) if match else None


def fingerprint(content: bytes) -> str:
    """SHA-256 of the bytes, as `sha256sum` prints it."""
    return hashlib.sha256(content).hexdigest()


def read_bytes(path: Path) -> bytes:
    """The bytes of an SQL file.

    Raises:
        QueryMissing: if there is none.
    """
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as missing:
        raise QueryMissing(f"{path} is not there; name an SQL file of the job's folder") from missing


def read_source(path: Path) -> Source:
    """The file as text, under the table and version of its name.

    Raises:
        QueryMissing: if there is no such file.
        QueryRefused: if its name, its size or its characters are not those of an SQL file.
    """
    content = read_bytes(path)
    named = parse_name(path.name)
    if named is None:
        raise QueryRefused(path, 1, "the file is not named <table>_v<N>.sql in lower case; rename it")
    if len(content) > LARGEST_BYTES:
        raise QueryRefused(
            path, 1, f"{len(content)} bytes; an extraction has at most {LARGEST_BYTES}, split it into tables"
        )
    return Source(path, *named, _text(path, content), fingerprint(content))


def _text(path: Path, content: bytes) -> str:
    """The characters of a file that reads the same to every parser: UTF-8, LF, no control characters."""
    try:
        text = content.decode()
    except UnicodeDecodeError as broken:
        line = content.count(b"\n", 0, broken.start) + 1
        raise QueryRefused(path, line, f"byte {broken.start} is not UTF-8; save the file as UTF-8") from broken
    for at, character in enumerate(text):
        if character != "\n" and not character.isprintable():
            line = text.count("\n", 0, at) + 1
            raise QueryRefused(
                path, line, f"control or invisible character U+{ord(character):04X}; use spaces and LF line ends"
            )
    return text
