"""Pings of a dead man's switch: it alarms when no success was heard of for too long. Its URL is a secret."""

from __future__ import annotations

import time
from urllib.parse import urlsplit, urlunsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

_EACH_S = 1.9  # a try; there are two
_PAUSE_S = 0.3
_MOST_BYTES = 10_000


def problem_of(url: str) -> str | None:
    """What is wrong with a ping URL; null if it is well formed. The URL is not repeated."""
    wanted = "must look like https://hc-ping.com/UUID"
    if not url.isascii() or not url.isprintable() or " " in url:
        return f"{wanted}, in ASCII without blanks"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    return None if usable else wanted


def ping(url: str, ending: str, body: str | None = None) -> None:
    """Tell the switch, and once more if it did not hear; a redirection is not followed.

    Raises:
        OSError: if it did not hear.
    """
    data = None if body is None else body.encode(errors="replace")[:_MOST_BYTES]
    request = Request(address(url, ending), data, {"User-Agent": "rescore", "Content-Type": "text/plain"})  # noqa: S310  http or https
    try:
        _once(request)
    except OSError:
        time.sleep(_PAUSE_S)
        _once(request)


def address(url: str, ending: str) -> str:
    """The URL with a further last part."""
    parts = urlsplit(url)
    path = f"{parts.path.rstrip('/')}/{ending}" if ending else parts.path
    return urlunsplit(parts._replace(path=path, fragment=""))


def _once(request: Request) -> None:
    _opener().open(request, timeout=_EACH_S).close()


def _opener() -> OpenerDirector:
    """HTTP and HTTPS, through a proxy where the environment names one; no other scheme, and no redirections."""
    opener = OpenerDirector()
    for handler in (ProxyHandler, HTTPHandler, HTTPSHandler, HTTPErrorProcessor, HTTPDefaultErrorHandler):
        opener.add_handler(handler())
    return opener
