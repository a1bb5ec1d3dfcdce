"""Opening a warehouse for the queries of one snapshot, whichever kind it is."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from jobs.warehouse.addresses import FileAddress
from jobs.warehouse.duckdb_file import open_duckdb_file, require_there

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from jobs.definition import Job
    from jobs.queries.check import Query
    from jobs.warehouse.addresses import Address
    from jobs.warehouse.bounds import Bounds
    from jobs.warehouse.extraction import Extraction


type Asks = Sequence[tuple[Query, Bounds]]


@contextmanager
def open_warehouse(address: Address, job: Job, asks: Asks, spill: Path) -> Iterator[Extraction]:
    """One read-only view of the warehouse, of one moment, for some queries of a job within their bounds.

    What does not fit into memory, and what a server sends, lies in the folder `spill` meanwhile.

    Raises:
        WarehouseMissing, WarehouseForbidden, WarehouseUnavailable: if it cannot be read at all, or not now.
        SourceDiffers: if it has not what the queries ask for.
    """
    if isinstance(address, FileAddress):
        require_there(address)
        with open_duckdb_file(address.path, job.calendar, job.horizon_days, spill) as extraction:
            yield extraction
        return
    from jobs.warehouse.servers.reading import open_server  # noqa: PLC0415  a file needs no driver

    with open_server(address, job, asks, spill) as extraction:
        yield extraction


def examine_warehouse(address: Address, job: Job, asks: Asks, spill: Path) -> None:
    """Pass if the warehouse has what some queries of a job ask for; no row is read; errors as `open_warehouse`."""
    if isinstance(address, FileAddress):
        require_there(address)
        with open_duckdb_file(address.path, job.calendar, job.horizon_days, spill) as extraction:
            for query, bounds in asks:
                extraction.check_columns(query, bounds)
        return
    from jobs.warehouse.servers.reading import examine_server  # noqa: PLC0415

    examine_server(address, job, asks)
