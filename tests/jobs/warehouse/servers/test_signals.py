"""A signal while the job waits for a server: the process ends in time and leaves nothing, here or there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import postgres

if TYPE_CHECKING:
    from tests.conftest import ServerWorld

_PROGRAM = [sys.executable, "-c", "from jobs.cli import main; main()", "run", "--as-of", "2013-04-12"]


@pytest.mark.parametrize(
    ("waits_for", "number", "code", "said"),
    [
        ("a lock of a table", signal.SIGTERM, 143, "terminated"),
        ("a lock of a table", signal.SIGINT, 130, "interrupted"),
        ("a connection", signal.SIGTERM, 143, "terminated"),
        ("rows", signal.SIGINT, 130, "interrupted"),
        ("the lock of publishers", signal.SIGTERM, 143, "terminated"),
    ],
)
def test_a_signal_is_heard_while_a_server_keeps_us_waiting(
    server_world: ServerWorld, waits_for: str, number: int, code: int, said: str
) -> None:
    """143 or 130 within 10 s, one line, nothing staged; the session at the server is cancelled and gone."""
    url = server_world.url
    with ExitStack() as stack:
        between = None
        if waits_for == "a lock of a table":
            stack.enter_context(postgres.held_lock(url, "LOCK TABLE planes IN ACCESS EXCLUSIVE MODE"))
        elif waits_for == "the lock of publishers":
            stack.enter_context(postgres.held_lock(url, "SELECT pg_advisory_xact_lock(7033702)"))
        else:
            silent_after = 0 if waits_for == "a connection" else 100_000
            between = stack.enter_context(postgres.proxy(server_world.server, "stall", silent_after))
            url = between.url(server_world.database)
        environment = {**os.environ, "PYTHONPATH": str(Path.cwd()), "SCORE_WAREHOUSE": url}
        with subprocess.Popen(_PROGRAM, env=environment, stderr=subprocess.PIPE, text=True) as process:
            if between:
                between.wait_until_it_failed()
            else:
                postgres.wait_until(lambda: postgres.backends(server_world.url, "Lock"))
            time.sleep(0.2)
            sent = time.monotonic()
            process.send_signal(number)
            _, err = process.communicate(timeout=30)
            took_s = time.monotonic() - sent
        assert process.returncode == code
        assert took_s < 10.0
        assert err.splitlines() == [f"score: {said}; nothing half done is kept, run it again"]
        assert list((server_world.home / "staging").iterdir()) == []
        postgres.wait_until(lambda: not postgres.backends(server_world.url), 5.0)
