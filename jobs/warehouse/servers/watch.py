"""Calls into a driver, each with a limit: a peer that falls silent costs minutes, and a signal is heard meanwhile.

A driver waits in C, where neither a signal nor a limit of Python reaches it. So a thread of its own calls it, and
whoever asks waits for the thread. A call that does not come back is cancelled from outside; where that does not help
either, the thread is left behind, and ends with the process.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

_STOPPING_S = 2.0  # for a cancel to reach the other side, and for the call to come back from it
_LEFT_BEHIND: dict[int, object] = {}  # what a lost thread still uses must not be cleaned up under it


class PeerSilent(Exception):
    """The other side said nothing within the limit."""


@dataclass(slots=True)
class Watch:
    """One thread that does what it is asked, one thing after the other, each within `limit_s` seconds."""

    limit_s: float
    waiting: bool = False
    ended: bool = False
    _asked: SimpleQueue[Callable[[], object] | None] = field(default_factory=SimpleQueue)
    _answers: SimpleQueue[tuple[bool, object]] = field(default_factory=SimpleQueue)

    def __post_init__(self) -> None:
        Thread(target=self._work, name="warehouse driver", daemon=True).start()

    def call[T](self, work: Callable[[], T]) -> T:
        """What `work` returns or raises.

        Raises:
            PeerSilent: if it did neither in time; the watch is of no more use, and says so to whoever asks again.
        """
        if self.waiting or self.ended:
            raise PeerSilent("its connection is of no use any more")
        self.waiting = True
        self._asked.put(work)
        try:
            returned, answer = self._answers.get(timeout=self.limit_s)
        except Empty:
            raise PeerSilent(f"it said nothing for {self.limit_s:.0f} s (SCORE_WAREHOUSE_TIMEOUT)") from None
        self.waiting = False
        if not returned and isinstance(answer, BaseException):
            raise answer
        return cast("T", answer)

    def leave(self, used: object, last: Callable[[], object], stop: Callable[[], object] | None) -> None:
        """End the thread after `last`; where it hangs in a call, `stop` it from outside, or else keep what it uses."""
        _LEFT_BEHIND[id(self)] = (self, used)  # first, for a signal may end this at any point
        if self.waiting and stop is not None:
            self.waiting = not self._stopped(stop)
        if not self.waiting:
            with suppress(Exception):  # the connection is of no interest any more
                self.call(last)
        self.ended = True
        if not self.waiting:
            del _LEFT_BEHIND[id(self)]
        else:
            self._asked.put(last)  # for when it comes back after all
        self._asked.put(None)

    def _stopped(self, stop: Callable[[], object]) -> bool:
        """Whether the call that hangs came back soon after `stop`, and `stop` itself too."""
        stopping = Thread(target=_quietly, args=(stop,), name="warehouse cancel", daemon=True)
        stopping.start()
        stopping.join(_STOPPING_S)
        try:
            self._answers.get(timeout=_STOPPING_S if not stopping.is_alive() else 0.0)
        except Empty:
            return False
        return not stopping.is_alive()

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
