"""Calls into a driver, each with a limit: a peer that falls silent costs minutes, and a signal is heard meanwhile.

A driver waits in C, where neither a signal nor a limit of Python reaches it. So a thread of its own calls it, and
whoever asks waits for the thread. One that does not come back is left behind; it ends with the process.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

_LEFT_BEHIND: list[object] = []  # what a lost thread still uses must not be cleaned up under it


class PeerSilent(Exception):
    """The other side said nothing within the limit."""


@dataclass(slots=True)
class Watch:
    """One thread that does what it is asked, one thing after the other, each within `limit_s` seconds."""

    limit_s: float
    waiting: bool = False
    _asked: SimpleQueue[Callable[[], object] | None] = field(default_factory=SimpleQueue)
    _answers: SimpleQueue[tuple[bool, object]] = field(default_factory=SimpleQueue)

    def __post_init__(self) -> None:
        Thread(target=self._work, name="warehouse driver", daemon=True).start()

    def call[T](self, work: Callable[[], T]) -> T:
        """What `work` returns or raises.

        Raises:
            PeerSilent: if it did neither in time; the watch is of no more use.
        """
        self.waiting = True
        self._asked.put(work)
        try:
            returned, answer = self._answers.get(timeout=self.limit_s)
        except Empty:
            raise PeerSilent(f"it said nothing for {self.limit_s:.0f} s") from None
        self.waiting = False
        if not returned and isinstance(answer, BaseException):
            raise answer
        return cast("T", answer)

    def leave(self, used: object, last: Callable[[], object], stop: Callable[[], object]) -> None:
        """End the thread after `last`; where it hangs in a call, try `stop` from outside, and keep what it uses."""
        if not self.waiting:
            with suppress(Exception):  # the connection is of no interest any more
                self.call(last)
        if not self.waiting:
            self._asked.put(None)
            return
        _LEFT_BEHIND.append(used)
        Thread(target=_quietly, args=(stop,), name="warehouse cancel", daemon=True).start()

    def _work(self) -> None:
        while (work := self._asked.get()) is not None:
            try:
                self._answers.put((True, work()))
            except BaseException as error:  # noqa: BLE001  it is raised where somebody waits for it
                self._answers.put((False, error))


def threads_were_left() -> bool:
    """Whether a thread may still be inside a driver: the process must then end without cleaning up under it."""
    return bool(_LEFT_BEHIND)


def _quietly(stop: Callable[[], object]) -> None:
    with suppress(Exception):
        stop()
