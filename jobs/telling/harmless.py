"""Work that may hang or fail, and that nothing depends on."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError

from jobs.telling.log import reason

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_S = 4.5  # twice in a row, at the start and after a signal, is still less than the ten seconds that a stop may take


def harmless(name: str, work: Callable[[], None], warn: Callable[[str], None]) -> None:
    """Try it, for a few seconds at most; what goes wrong is one line on stderr.

    It is left alone in its thread after that: a look at a name server, or at a folder of a server that is gone, cannot
    be broken off. The end of the process ends it.
    """
    wrong = [f"not done within {MOST_S} s"]

    def attempt() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001  whatever it is, the night goes on
            wrong[0] = said_of(error)
        else:
            wrong.clear()

    thread = Thread(target=attempt, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError:  # no more threads
        wrong[0] = "no thread for it"
    else:
        thread.join(MOST_S)
    if wrong:
        warn(f"{name}: {wrong[0]}; the command is not affected")


def said_of(error: Exception) -> str:
    """Why, without any text that may hold a URL."""
    if isinstance(error, HTTPError):
        return f"the answer was {error.code}"
    if isinstance(error, URLError):
        return reason(error.reason) if isinstance(error.reason, Exception) else "the URL cannot be used"
    return "no answer" if isinstance(error, TimeoutError) else reason(error)
