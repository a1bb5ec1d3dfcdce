"""What is particular to the servers that were never run here: how their drivers are called, what their errors mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from adbc_driver_manager import AdbcStatusCode

from jobs.warehouse.addresses import AddressRefused

if TYPE_CHECKING:
    from adbc_driver_manager import dbapi

    from jobs.warehouse.addresses import ServerAddress

FALTERING = frozenset({AdbcStatusCode.IO, AdbcStatusCode.TIMEOUT, AdbcStatusCode.CANCELLED})
FORBIDDEN = frozenset({AdbcStatusCode.UNAUTHENTICATED, AdbcStatusCode.UNAUTHORIZED})


def connect_arguments(address: ServerAddress) -> dict[str, Any]:
    """What the driver is called with; not every one takes a whole URL.

    Raises:
        AddressRefused: if the URL lacks what its driver asks for.
    """
    parts = urlsplit(address.url)
    if parts.scheme == "bigquery":
        project, dataset = parts.netloc, parts.path.strip("/")
        if not project or not dataset:
            raise AddressRefused("a BigQuery URL names the project and the dataset: bigquery://PROJECT/DATASET")
        names = {"project_id": project, "dataset_id": dataset}
        return {"db_kwargs": {f"adbc.bigquery.sql.{name}": value for name, value in names.items()}}
    if parts.scheme.startswith("grpc"):
        user, _, place = parts.netloc.rpartition("@")
        name, _, password = user.partition(":")
        given = {"username": unquote(name), "password": unquote(password)}
        return {"uri": f"{parts.scheme}://{place}", "db_kwargs": {key: value for key, value in given.items() if value}}
    return {"uri": address.url}


def falters(error: dbapi.Error) -> bool:
    """Whether another try may go well."""
    return error.status_code in FALTERING


def forbids(error: dbapi.Error) -> bool:
    """Whether the server does not let us in, or not do what was asked."""
    return error.status_code in FORBIDDEN
