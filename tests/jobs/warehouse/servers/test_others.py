"""Servers that no test can start here: their drivers are real, and come as far as a connection's clear error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from jobs.warehouse.servers import reading

if TYPE_CHECKING:
    from tests.conftest import World

URLS = {
    "snowflake": "snowflake://me:hunter2@127.0.0.1:1/f?account=nobody&protocol=http&loginTimeout=2&maxRetryCount=1",
    "bigquery": "bigquery://some-project/flights",
    "flightsql": "grpc://me:hunter2@127.0.0.1:1?dialect=trino",
}


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PAUSES_S", (0.0, 0.0))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("SCORE_WAREHOUSE_TIMEOUT", "30s")


@pytest.mark.parametrize(
    ("engine", "said"), [("snowflake", "refused"), ("bigquery", "credentials"), ("flightsql", "refused")]
)
def test_a_server_that_is_not_there_is_unavailable_in_one_line_without_its_password(
    world: World, monkeypatch: pytest.MonkeyPatch, engine: str, said: str
) -> None:
    monkeypatch.setenv("SCORE_WAREHOUSE", URLS[engine])

    done = world.run("run", "--as-of", "2013-04-12", "--json")

    assert (done.code, done.err.count("\n")) == (69, 1)
    assert said in done.err
    assert "hunter2" not in done.err + done.out


@pytest.mark.parametrize("engine", URLS)
def test_a_driver_that_is_not_installed_is_named_with_how_to_install_it(
    world: World, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    monkeypatch.setenv("SCORE_WAREHOUSE", URLS[engine])
    package = f"adbc_driver_{engine}"
    for name in [name for name in sys.modules if name.startswith(package)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr("sys.meta_path", [_Missing(package), *sys.meta_path])

    done = world.run("snapshot", "--as-of", "2013-04-12")

    assert (done.code, done.err.count("\n")) == (66, 1)
    assert f"pip install adbc-driver-{engine}" in done.err


class _Missing:
    """A finder that finds one package nowhere."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, name: str, *_: object) -> None:
        """None, or that there is none."""
        if name.partition(".")[0] == self.package:
            raise ModuleNotFoundError(name=name)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("bigquery://some-project", "PROJECT/DATASET"),
        ("grpc://h:1", "dialect="),
        ("grpc://h:1?dialect=excel", "dialect="),
    ],
)
def test_a_url_that_its_driver_could_not_use_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    monkeypatch.setenv("SCORE_WAREHOUSE", url)

    done = world.run("snapshot", "--as-of", "2013-04-12")

    assert (done.code, done.err.count("\n"), said in done.err) == (78, 1, True)
