"""A dead man's switch on this machine, a server that never answers, and what a night is without either."""

from __future__ import annotations

import os
import socket
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.conftest import World

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = [sys.executable, "-m", "jobs"]
NIGHT = "2013-04-12"
THERE = "/8f1c2d3e-s3cret"


@dataclass
class Switch:
    """What was heard, and how it is answered: by status and headers, one a request, the last one again and again."""

    url: str = ""
    heard: list[tuple[str, str, str]] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=lambda: [(200, {})])
    holds: threading.Event = field(default_factory=threading.Event)
    """Set, unless an answer shall be waited for."""


def _handler(switch: Switch) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            switch.heard.append((self.command, self.path, body))
            status, headers = switch.answers.pop(0) if switch.answers[1:] else switch.answers[0]
            switch.holds.wait(30)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def listening() -> Iterator[Switch]:
    """A switch that hears."""
    switch = Switch()
    switch.holds.set()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(switch)) as server:
        server.daemon_threads = True
        switch.url = f"http://127.0.0.1:{server.server_port}{THERE}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield switch
        switch.holds.set()
        server.shutdown()
        thread.join()


@contextmanager
def asleep() -> Iterator[tuple[str, socket.socket]]:
    """The URL of a server that takes connections and never answers, and the server."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}{THERE}", server


@pytest.fixture
def switch() -> Iterator[Switch]:
    with listening() as heard:
        yield heard


def kept(home: Path) -> dict[str, bytes]:
    """Every file that a night keeps and that says nothing of when and where it was made."""
    return {
        str(path.relative_to(home)): path.read_bytes()
        for kind in ("objects", "runs", "snapshots")
        for path in sorted((home / kind).rglob("*"))
        if path.is_file() and path.name not in {"execution.json", "taken.json"}
    }


def environment(world: World, **others: str) -> Mapping[str, str]:
    """For a process of its own."""
    named = {"SCORE_HOME": str(world.home), "SCORE_WAREHOUSE": f"duckdb:///{world.warehouse}", "PYTHONPATH": str(ROOT)}
    return {**os.environ, **named, **others}
