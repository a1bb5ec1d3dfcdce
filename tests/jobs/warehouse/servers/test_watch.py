"""Calls into a driver are watched: silence, exceptions and lost threads."""

from __future__ import annotations

import threading
import time

import pytest

from jobs.warehouse.servers import watch as watching
from jobs.warehouse.servers.watch import PeerSilent, Watch, threads_were_left
from tests.postgres import wait_until


def nothing() -> None:
    """Do nothing."""


def names() -> list[str]:
    """The names of the threads that are there."""
    return [thread.name for thread in threading.enumerate()]


def test_what_a_call_returns_or_raises_comes_back() -> None:
    """Of any class, in the order of the calls, in one thread that is not the caller's."""
    watch = Watch(5.0)
    assert [watch.call(lambda n=n: n) for n in range(3)] == [0, 1, 2]
    assert watch.call(threading.get_ident) != threading.get_ident()
    for kind in (ValueError, KeyboardInterrupt, SystemExit):
        with pytest.raises(kind, match="why"):
            watch.call(lambda kind=kind: (_ for _ in ()).throw(kind("why")))
    assert watch.call(lambda: "still here") == "still here"

    watch.leave(None, nothing, nothing)
    assert not threads_were_left()


def test_silence_ends_the_wait_and_the_watch() -> None:
    """Within the limit; a late answer is never taken for that of the next call."""
    watch, release = Watch(0.2), threading.Event()
    began = time.monotonic()
    with pytest.raises(PeerSilent, match="SCORE_WAREHOUSE_TIMEOUT"):
        watch.call(lambda: release.wait(20) and "late")
    assert time.monotonic() - began < 2.0

    release.set()
    with pytest.raises(PeerSilent, match="no use"):
        watch.call(lambda: "next")
    watch.leave(None, nothing, nothing)


def test_a_call_that_can_be_cancelled_leaves_no_thread_behind() -> None:
    """It comes back from the cancel, then the last call is made, and the thread ends."""
    watch, release, done = Watch(0.2), threading.Event(), []
    with pytest.raises(PeerSilent):
        watch.call(lambda: release.wait(20))
    before = names().count("warehouse driver")
    watch.leave("used", lambda: done.append("last"), release.set)

    assert done == ["last"]
    assert not threads_were_left()
    wait_until(lambda: names().count("warehouse driver") < before)


def test_a_thread_that_no_cancel_reaches_is_left_behind_with_what_it_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    """And neither it nor a cancel that hangs too keeps the caller for long."""
    monkeypatch.setattr(watching, "_STOPPING_S", 0.2)
    watch, release, used = Watch(0.1), threading.Event(), object()
    with pytest.raises(PeerSilent):
        watch.call(lambda: release.wait(20))
    began = time.monotonic()
    watch.leave(used, nothing, lambda: release.wait(20))

    assert time.monotonic() - began < 2.0
    assert threads_were_left()
    assert watching._LEFT_BEHIND.pop(id(watch))[1] is used
    release.set()


def test_a_watch_that_ended_does_not_wait_for_a_thread_that_is_gone() -> None:
    """Such as a stream that is cleaned up after its connection was closed."""
    watch = Watch(30.0)
    watch.leave(None, nothing, nothing)
    began = time.monotonic()
    with pytest.raises(PeerSilent, match="no use"):
        watch.call(nothing)
    assert time.monotonic() - began < 1.0


def test_a_last_call_that_fails_or_hangs_is_of_no_interest(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it raises is dropped; where it hangs the thread counts as left."""
    failing = Watch(5.0)
    failing.leave(None, lambda: 1 / 0, None)
    assert not threads_were_left()

    hanging, release = Watch(0.1), threading.Event()
    monkeypatch.setattr(watching, "_LEFT_BEHIND", {})
    hanging.leave("used", lambda: release.wait(20), None)
    assert threads_were_left()
    release.set()
