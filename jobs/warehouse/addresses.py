"""Where a warehouse is: a DuckDB file, or a server by its URL, which is written nowhere with its password."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeGuard
from urllib.parse import parse_qsl, unquote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SILENCE_S = 180.0  # by default; then a server that says nothing counts as stalled


class AddressRefused(Exception):
    """A warehouse's URL cannot be used."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A kind of server: the dialect of its SQL, and the Python package of the ADBC driver that talks to it."""

    title: str
    dialect: str
    package: str

    @property
    def module(self) -> str:
        """The driver's DBAPI module."""
        return f"{self.package.replace('-', '_')}.dbapi"


POSTGRESQL = Engine("PostgreSQL", "postgres", "adbc-driver-postgresql")
ENGINES: Mapping[str, Engine] = {
    "postgresql": POSTGRESQL,
    "postgres": POSTGRESQL,
    "snowflake": Engine("Snowflake", "snowflake", "adbc-driver-snowflake"),
    "bigquery": Engine("BigQuery", "bigquery", "adbc-driver-bigquery"),
    "grpc": Engine("a Flight SQL server", "", "adbc-driver-flightsql"),
    "grpc+tls": Engine("a Flight SQL server", "", "adbc-driver-flightsql"),
}
FLIGHT_DIALECTS = ("postgres", "snowflake", "bigquery", "spark", "trino")


@dataclass(frozen=True, slots=True)
class FileAddress:
    """A DuckDB file; `relative` is the path as it was written, where that counts from the current folder."""

    path: Path
    relative: str = field(default="", compare=False)

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A server; only `url` holds the password, and what is printed does not. A silence of `silence_s` ends a try."""

    url: str = field(repr=False)
    engine: Engine
    shown: str
    silence_s: float = SILENCE_S

    def __str__(self) -> str:
        return self.shown

    def without_secrets(self, said: str) -> str:
        """What a library said, without the URL and without the password, in whichever spelling it stands there."""
        for secret in (self.url, *_secrets(self.url)):
            said = said.replace(secret, "***")
        return said


type Address = FileAddress | ServerAddress


# Stricter than the clients: what they misread, they print. `p@ss` would make a host of the end of a password.
_WORD = r"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})"
_HOST = r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])"
_URL = re.compile(
    rf"(?P<scheme>[a-z+]+)://(?:(?P<user>{_WORD}*)(?P<password>:{_WORD}*)?@)?"
    rf"(?P<hosts>{_HOST}?(?::[0-9]{{1,5}})?(?:,{_HOST}(?::[0-9]{{1,5}})?)*)"
    rf"(?P<path>(?:/{_WORD}*)*)(?:\?(?P<query>(?:{_WORD}|[/:@])*))?"
)
_SECRET = re.compile("pass|secret|token|key|credential", re.IGNORECASE)


def read_server_address(url: str, silence_s: float = SILENCE_S) -> ServerAddress:
    """The address that a server's URL gives.

    Raises:
        AddressRefused: if it cannot be one; without repeating it.
    """
    match = _URL.fullmatch(url)
    engine = ENGINES.get(match["scheme"]) if match else None
    if match is None or engine is None:
        schemes = ", ".join(f"{scheme}://" for scheme in ENGINES)
        raise AddressRefused(
            f"the warehouse's URL must be duckdb:///path, or begin with one of {schemes} and look like "
            "postgresql://user:password@host:5432/database, with special characters in the password percent-encoded"
        )
    if not engine.dialect:
        url, engine = _with_dialect(url, engine)
    user = f"{match['user']}@" if match["user"] else ""
    shown = f"{match['scheme']}://{user}{match['hosts']}{match['path']}"
    socket = dict(parse_qsl(match["query"] or "")).get("host")
    return ServerAddress(url, engine, f"{shown} at {socket}" if socket else shown, silence_s)


def _with_dialect(url: str, engine: Engine) -> tuple[str, Engine]:
    """A Flight SQL server's URL without `dialect=`, and the engine with it: the protocol does not say it."""
    place, _, query = url.partition("?")
    named = [part for part in query.split("&") if part]
    dialects = [part.removeprefix("dialect=") for part in named if part.startswith("dialect=")]
    if len(dialects) != 1 or dialects[0] not in FLIGHT_DIALECTS:
        raise AddressRefused(
            f"a Flight SQL server's URL must say which SQL it speaks: ?dialect= one of {', '.join(FLIGHT_DIALECTS)}"
        )
    rest = "&".join(part for part in named if not part.startswith("dialect="))
    return f"{place}?{rest}" if rest else place, Engine(engine.title, dialects[0], engine.package)


def publishes_tables(address: Address) -> TypeGuard[ServerAddress]:
    """Whether scores are published there too; of the other servers rows are only read."""
    return isinstance(address, ServerAddress) and address.engine is POSTGRESQL


def has_password(address: ServerAddress) -> bool:
    """Whether the URL holds a password, which a command line would show to everybody on the machine."""
    return any(_secrets(address.url))


def _secrets(url: str) -> Iterator[str]:
    """The password of a URL as it is written, and as it is meant; of its parameters those that may hold one."""
    match = _URL.fullmatch(url)
    if match is None:
        return
    written = [(match["password"] or "")[1:]]
    written += [
        part.partition("=")[2] for part in (match["query"] or "").split("&") if _SECRET.search(part.partition("=")[0])
    ]
    for secret in filter(None, written):
        yield secret
        yield unquote(secret)
