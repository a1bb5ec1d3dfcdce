"""The words of an SQL file, cut by rules so narrow that sqlglot, DuckDB and PostgreSQL must cut alike."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from jobs.queries.source import QueryRefused

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jobs.queries.source import Source

MOST_TOKENS = 5_000
DEEPEST = 32

_TOKEN = re.compile(
    r"""(?P<space>[ \n]+)
      | (?P<comment>--[^\n]*)
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)(?![A-Za-z0-9_'"$]|[^\x00-\x7f])
      | (?P<quoted>"[A-Za-z_][A-Za-z0-9_]*")
      | (?P<number>[0-9]+(?:\.[0-9]+)?)(?![A-Za-z0-9_.$])
      | (?P<string>'(?:[^'\n\\]|'')*')
      | (?P<parameter>\$[A-Za-z_][A-Za-z0-9_]*)
      | (?P<symbol>::|<>|!=|<=|>=|/(?!\*)|[-+*=<>,.();])
    """,
    re.VERBOSE,
)
_CLOCK = re.compile(r"\b(now|today|tomorrow|yesterday)\b", re.IGNORECASE)
_SIZED = frozenset({"DECIMAL", "NUMERIC", "DEC"})
_UNSIZED = frozenset({"VARCHAR", "TEXT", "STRING", "CHAR", "BPCHAR", "NVARCHAR"})


@dataclass(frozen=True, slots=True)
class Token:
    """One word, constant or sign, with the line that it opens on; keywords are compared by `upper`."""

    kind: str
    text: str
    line: int

    @property
    def upper(self) -> str:
        """The text of a word in capitals; of anything else as it stands."""
        return self.text.upper() if self.kind == "word" else self.text


def cut(source: Source) -> tuple[Token, ...]:
    """The file's tokens in order, without spaces and comments.

    Raises:
        QueryRefused: at the first character that opens nothing of the subset.
    """
    tokens: list[Token] = []
    at, line, text = 0, 1, source.text
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise QueryRefused(source.path, line, _unreadable(text, at))
        if match.lastgroup not in {"space", "comment"}:
            tokens.append(Token(str(match.lastgroup), match.group(), line))
        line += match.group().count("\n")
        at = match.end()
    return tuple(tokens)


def _unreadable(text: str, at: int) -> str:
    """Why nothing of the subset opens here."""
    openings = {
        "/*": "a block comment; comments open with --",
        "'": "a string that is not closed on its line, or holds a backslash; write '...' with '' for a quote",
        '"': "a quoted name that is no plain identifier; letters, digits and _ only, never a file",
        "$": "a numbered parameter or dollar quoting; the parameters are $start, $end and $cutoff",
        "?": "an unnamed parameter; the parameters are $start, $end and $cutoff",
    }
    for opening, reason in openings.items():
        if text.startswith(opening, at):
            return reason
    piece = re.split(r"[\s,()]", text[at : at + 20], maxsplit=1)[0] or text[at]
    return (
        f"`{piece}` is not of the subset: plain words, decimal constants, '...' and the signs :: = <> < <= > >= + - *"
    )


def statement_faults(tokens: Sequence[Token]) -> Iterator[tuple[int, str]]:
    """What keeps the file from being one SELECT that is worth parsing."""
    if not tokens:
        yield 1, "no statement; the file holds one SELECT"
        return
    if tokens[0].upper != "SELECT":
        yield tokens[0].line, f"the statement opens with {tokens[0].text}; an extraction is one plain SELECT"
    for token, following in pairwise(tokens):
        if token.text == ";":
            yield following.line, f"several statements, the next opens with {following.text}; keep one SELECT a file"
            break
    if len(tokens) > MOST_TOKENS:
        yield tokens[MOST_TOKENS].line, f"{len(tokens)} words; an extraction has at most {MOST_TOKENS}"
    yield from _too_deep(tokens)


def _too_deep(tokens: Sequence[Token]) -> Iterator[tuple[int, str]]:
    depth = 0
    for token in tokens:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth > DEEPEST:
            yield token.line, f"parentheses more than {DEEPEST} deep; simplify the expression"
            return


def spelling_faults(tokens: Sequence[Token]) -> Iterator[tuple[int, str]]:
    """What the text says and sqlglot's tree forgets: lengths of types, explicit NULLS, constants that read a clock."""
    for token, following in pairwise(tokens):
        if token.upper in _UNSIZED and following.text == "(":
            yield token.line, f"{token.text} with a length, which engines treat differently; write VARCHAR"
        if token.upper == "NULLS" and following.upper in {"FIRST", "LAST"}:
            yield token.line, f"explicit NULLS {following.upper}; order plainly, the key has no nulls"
    for cast, type_word, after in zip(tokens, tokens[1:], tokens[2:], strict=False):
        open_ended = cast.text == "::" or (cast.upper == "AS" and after.text == ")")
        if open_ended and type_word.upper in _SIZED and after.text != "(":
            yield type_word.line, f"{type_word.text} without precision and scale; write DECIMAL(p, s)"
    for token in tokens:
        if token.kind == "string" and _CLOCK.search(token.text):
            yield (
                token.line,
                f"the constant {token.text} is read as a clock by PostgreSQL; name the instant, or $cutoff",
            )
