"""One connection to a server, through its ADBC driver: Arrow in, Arrow out, in bounded memory."""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from adbc_driver_manager import dbapi

from jobs.warehouse.addresses import POSTGRESQL
from jobs.warehouse.extraction import WarehouseForbidden, WarehouseMissing, WarehouseUnavailable
from jobs.warehouse.servers import others, postgres
from jobs.warehouse.servers.watch import PeerSilent, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from jobs.warehouse.addresses import ServerAddress


class ServerFaltered(Exception):
    """The server refused, reset, stalled, cancelled or restarted: another try may go well."""


class StatementRefused(Exception):
    """The server does not take a statement, or a value of a row has no place in it; says its SQLSTATE, and no value."""

    def __init__(self, sqlstate: str, said: str) -> None:
        self.sqlstate = sqlstate
        super().__init__(said)


@dataclass(slots=True)
class Session:
    """One open connection; every call of the driver is watched."""

    address: ServerAddress
    watch: Watch
    connection: Any  # of the driver's DBAPI, which has no types of its own
    _cursors: list[Any] = field(default_factory=list)

    def run(self, statement: str) -> None:
        """Run a statement that returns no rows."""
        with self._cursor() as cursor:
            self._call(lambda: cursor.execute(statement))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a small query, all at once; a failure says its SQLSTATE."""
        with self._cursor() as cursor:
            if self.address.engine is POSTGRESQL:
                self._call(lambda: postgres.without_copy(cursor))
            self._call(lambda: cursor.execute(query))
            found: list[tuple[Any, ...]] = self._call(cursor.fetchall)
            return [tuple(row) for row in found]

    def schema(self, query: str) -> pa.Schema:
        """The columns of a query, as Arrow types."""
        with self._cursor() as cursor:
            self._call(lambda: cursor.execute(query))
            return self._call(cursor.fetch_record_batch).schema

    def batches(self, query: str) -> Generator[pa.RecordBatch]:
        """The rows of a query as they arrive, a batch at a time; at first one without rows, for its columns."""
        with self._cursor() as cursor:
            self._call(lambda: cursor.execute(query))
            reader: pa.RecordBatchReader = self._call(cursor.fetch_record_batch)
            yield plain(pa.RecordBatch.from_pylist([], schema=reader.schema))
            while (batch := self._call(lambda: next(reader, None))) is not None:
                yield plain(batch)

    def insert(self, schema: str, table: str, rows: pa.RecordBatchReader) -> int:
        """Append rows to a table by the engine's bulk load, each batch in its own time; returns how many."""
        written = 0
        with self._cursor() as cursor:
            for batch in rows:
                written += self._call(partial(cursor.adbc_ingest, table, batch, mode="append", db_schema_name=schema))
        return written

    @contextmanager
    def transaction(self, begin: str = postgres.WRITE) -> Iterator[None]:
        """What stands inside happens wholly or not at all."""
        self.run(begin)
        try:
            yield
        except BaseException:
            if not self.watch.waiting:
                self._try("ROLLBACK")
            raise
        self.run("COMMIT")

    def alive(self) -> bool:
        """Whether the server still answers, after a statement failed; ends the transaction that failed."""
        return not self.watch.waiting and self._try("ROLLBACK")

    def _try(self, statement: str) -> bool:
        try:
            self.run(statement)
        except (ServerFaltered, StatementRefused):
            return False
        return True

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        cursor: Any = self._call(self.connection.cursor)
        self._cursors.append(cursor)
        try:
            yield cursor
        finally:
            if not self.watch.waiting:
                self._cursors.remove(cursor)
                with suppress(ServerFaltered, StatementRefused):  # what failed before it says more
                    self._call(cursor.close)

    def _call(self, work: Callable[[], Any]) -> Any:  # noqa: ANN401  it is the driver's
        try:
            return self.watch.call(work)
        except PeerSilent as silent:
            raise ServerFaltered(str(silent)) from None
        except dbapi.Error as error:
            raise failure(self.address, error) from None
        except (OSError, pa.ArrowException) as error:  # a stream that broke, or that the server ended
            raise ServerFaltered(_said(self.address, str(error))) from None

    def close(self) -> None:
        """Close the connection, or leave it to a thread that hangs in it."""
        self.watch.leave((self.connection, self._cursors), self.connection.close, self._cancel)

    def _cancel(self) -> None:
        for cursor in self._cursors:
            cursor.adbc_cancel()


@contextmanager
def open_session(address: ServerAddress) -> Iterator[Session]:
    """A connection to a server, which commits each statement unless a transaction says otherwise.

    Raises:
        WarehouseMissing: if there is no driver for it here, or no such database there.
        WarehouseForbidden: if it does not let us in.
        ServerFaltered: if it does not answer.
    """
    driver, watch = _driver(address), Watch(address.silence_s)
    try:
        session = Session(address, watch, _connected(address, driver, watch))
    except BaseException:
        watch.leave(driver, lambda: None, None)  # perhaps inside of the driver still
        raise
    try:
        if address.engine is POSTGRESQL:
            session.rows(postgres.session_settings(address))
        yield session
    finally:
        session.close()


def _connected(address: ServerAddress, driver: Any, watch: Watch) -> Any:  # noqa: ANN401  they are the driver's
    engine = postgres if address.engine is POSTGRESQL else others
    settings = engine.connect_arguments(address)
    try:
        return watch.call(lambda: driver.connect(**settings, autocommit=True))
    except PeerSilent as silent:
        raise ServerFaltered(f"no connection: {silent}") from None
    except dbapi.Error as error:
        raise refusal(address, error) from None


def _driver(address: ServerAddress) -> Any:  # noqa: ANN401  a module
    try:
        return import_module(address.engine.module)
    except ModuleNotFoundError:
        raise WarehouseMissing(
            f"{address} is {address.engine.title}, and its driver is not installed here: "
            f"pip install {address.engine.package}"
        ) from None


def failure(address: ServerAddress, error: dbapi.Error) -> Exception:
    """What a failed statement means: a server that falters, or one that does not take it."""
    state = error.sqlstate or ""
    if address.engine is POSTGRESQL and (not state or postgres.passes(state)):
        return ServerFaltered(_told(address, error))
    if address.engine is not POSTGRESQL and others.falters(error):
        return ServerFaltered(_told(address, error))
    if state == postgres.FORBIDDEN or (address.engine is not POSTGRESQL and others.forbids(error)):
        return WarehouseForbidden(f"{address}: {_told(address, error)}; grant what the job needs: docs/postgresql.md")
    return StatementRefused(state, "a value has no place" if postgres.is_of_a_value(state) else _told(address, error))


def refusal(address: ServerAddress, error: dbapi.Error) -> Exception:
    """What a failed connection means; of PostgreSQL there is only a text to tell by."""
    said = _said(address, str(error))
    if postgres.NO_ENTRY.search(said):
        return WarehouseForbidden(f"{address} does not let us in: {said}")
    if postgres.NO_DATABASE.search(said):
        return WarehouseMissing(f"{address}: {said}; set SCORE_WAREHOUSE to a database that is there")
    if address.engine is POSTGRESQL or others.falters(error):
        return ServerFaltered(said)
    return (WarehouseForbidden if others.forbids(error) else WarehouseUnavailable)(f"{address}: {said}")


def _told(address: ServerAddress, error: dbapi.Error) -> str:
    """What the server told of an error, where the driver passes it on; else what the driver said."""
    told = [text.decode(errors="replace") for name, text in error.details or () if name in _PRIMARY]
    return _said(address, told[0] if told else str(error))


_PRIMARY = ("PG_DIAG_MESSAGE_PRIMARY", b"PG_DIAG_MESSAGE_PRIMARY")
_ABOUT_THE_QUERY = re.compile(r"Failed to execute query '.*': |\s+Query was:.*", re.DOTALL)


def _said(address: ServerAddress, text: str) -> str:
    """The first line of what a library said that says something, without its prefixes, without a password."""
    lines = [line.strip() for line in _ABOUT_THE_QUERY.sub("", address.without_secrets(text)).splitlines()]
    first = next(filter(None, lines), "nothing")
    for prefix in ("IO: ", "UNKNOWN: ", "[libpq] ", "Failed to connect: "):
        first = first.removeprefix(prefix)
    return first[:300]


def plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with the types that DuckDB knows: what the driver has no name for stands in its storage type."""
    columns = [column.storage if isinstance(column, pa.ExtensionArray) else column for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
