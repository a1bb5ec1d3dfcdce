"""Pings: one request at the start, one at the end, of a real server on this machine."""

from __future__ import annotations

import threading
import time

import pytest

from jobs.telling.harmless import MOST_S, harmless
from jobs.telling.ping import address, ping, problem_of
from tests.jobs.telling.conftest import THERE, Switch, asleep


def warned(url: str, ending: str = "") -> list[str]:
    """What is said of a ping that may fail."""
    told: list[str] = []
    harmless("SCORE_PING", lambda: ping(url, ending, "what became of it"), told.append)
    return told


def test_a_start_is_asked_for_and_an_end_is_posted_with_what_became_of_it(switch: Switch) -> None:
    ping(switch.url, "start")
    ping(switch.url, "", "published")
    ping(switch.url, "fail", "é \udcff")

    assert switch.heard == [
        ("GET", f"{THERE}/start", ""), ("POST", THERE, "published"), ("POST", f"{THERE}/fail", "é ?"),
    ]  # fmt: skip


def test_a_long_text_is_cut(switch: Switch) -> None:
    ping(switch.url, "", "x" * 20_000)

    assert len(switch.heard[0][2]) == 10_000


@pytest.mark.parametrize(
    ("url", "ending", "wanted"),
    [
        ("https://hc-ping.com/UUID", "start", "https://hc-ping.com/UUID/start"),
        ("https://hc-ping.com/UUID/", "fail", "https://hc-ping.com/UUID/fail"),
        ("https://h/p?create=1#x", "start", "https://h/p/start?create=1"),
        ("https://h/p/", "", "https://h/p/"),
        ("http://h:8000", "start", "http://h:8000/start"),
    ],
)
def test_what_happened_is_the_last_part_of_the_path(url: str, ending: str, wanted: str) -> None:
    assert address(url, ending) == wanted


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://h/s3cret", "hc-ping.com/s3cret", "http://", "http:///s3cret", "https://h:x/s3cret",
     "https://h/a b", "https://h/a\nHost: b", "https://[h/s3cret", "https://h/ü", "javascript:1", "http://h:0/x"],
)  # fmt: skip
def test_what_is_no_web_address_is_refused_and_not_repeated(url: str) -> None:
    problem = problem_of(url)

    assert problem is not None
    assert problem.startswith("must look like https://hc-ping.com/UUID")
    assert "s3cret" not in problem


def test_a_server_that_has_trouble_is_asked_once_more(switch: Switch) -> None:
    switch.answers = [(503, {}), (200, {})]

    assert warned(switch.url) == []
    assert [method for method, *_ in switch.heard] == ["POST", "POST"]


def test_a_server_that_keeps_having_trouble_is_asked_twice_and_no_more(switch: Switch) -> None:
    switch.answers = [(500, {})]

    assert warned(switch.url) == ["SCORE_PING: the answer was 500; the command is not affected"]
    assert len(switch.heard) == 2


@pytest.mark.parametrize("there", ["/elsewhere", "file:///etc/passwd", "http://127.0.0.1:1/"])
def test_a_redirection_is_not_followed(switch: Switch, there: str) -> None:
    switch.answers = [(302, {"Location": there})]

    assert warned(switch.url) == ["SCORE_PING: the answer was 302; the command is not affected"]
    assert {path for _, path, _ in switch.heard} == {THERE}


def test_a_refused_connection_is_told_without_the_url() -> None:
    with asleep() as (url, server):
        server.close()

        assert warned(url) == ["SCORE_PING: Connection refused; the command is not affected"]


def test_a_name_that_nobody_knows_is_told_without_the_url() -> None:
    [told] = warned("http://nobody.invalid/s3cret")

    assert told.endswith("; the command is not affected")
    assert "s3cret" not in told
    assert "nobody" not in told


def test_a_server_that_never_answers_costs_less_than_five_seconds() -> None:
    with asleep() as (url, _):
        began = time.monotonic()
        told = warned(url)

        assert told == ["SCORE_PING: no answer; the command is not affected"]
        assert time.monotonic() - began < 5


def test_a_server_that_answers_drop_by_drop_costs_less_than_five_seconds() -> None:
    """Each byte comes in time, the whole never: what counts is the time of all of it."""
    over = threading.Event()
    with asleep() as (url, server):

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                while not over.wait(0.2):
                    connection.sendall(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        began = time.monotonic()
        told = warned(url)
        took = time.monotonic() - began
        over.set()
        thread.join()

    assert told == [f"SCORE_PING: not done within {MOST_S} s; the command is not affected"]
    assert took < 5


def test_a_machine_without_threads_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)

    assert warned("http://127.0.0.1:1/") == ["SCORE_PING: no thread for it; the command is not affected"]


def test_a_defect_of_ours_is_told_without_what_it_says() -> None:
    told: list[str] = []

    def broken() -> None:
        raise ValueError(THERE)

    harmless("SCORE_PING", broken, told.append)

    assert told == ["SCORE_PING: ValueError; the command is not affected"]
