"""Which engine scores: the kernel where it wins, LightGBM's own `predict` otherwise; the scores are the same bits.

The rule is an estimate, from figures that `bench/scorer.py` measures and that lean towards LightGBM: what `predict`
takes at least for a row, what the kernel takes at most, and what it takes to have the kernel at all. It depends on the
model, the rows and the threads alone (and on whether there is a place to keep compiled code), so that the same night
is scored by the same engine.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, cast

from models.kernel.plan import SET_LOOKUP, Plan, plan_of
from models.kernel.trees import read_forest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from models.kernel.scoring import Read
    from models.kernel.trees import Floats

KERNEL = "kernel"
LIGHTGBM = "lightgbm predict"

_PREDICT_NS = 8.0  # a row, a tree and a level, at least
_STEP_NS, _LOOKUP_NS = 0.04, 0.8  # a row and a step, at most
_CODE_NS = 15.0  # a row and a column
_START_NS = 0.9e9  # to import numba and to load what was compiled
_COMPILE_NS = 8e9  # to compile, where that cannot be kept
_PLAN_NS = 8e3  # a node


class Kernel:
    """The kernel of one model: made when it is first worth it, from the text that LightGBM loaded."""

    def __init__(self, text: str) -> None:
        self._text = text

    def refused(self, rows: int, threads: int) -> str:
        """Why LightGBM scores so many rows of this model; empty if the kernel does."""
        return refused((self,), rows, threads)

    @cached_property
    def plan(self) -> Plan | str:
        """What the kernel reads, or why it cannot have this model."""
        forest = read_forest(self._text)
        return forest if isinstance(forest, str) else plan_of(forest)

    @cached_property
    def leaves(self) -> list[int]:
        """Of each tree."""
        return [int(found) for found in re.findall(r"^num_leaves=(\d+)$", self._text, re.MULTILINE)]

    def scores(self, read: Read, rows: int, threads: int, most_rows: int) -> Floats:
        """One raw score a row; the caller has asked whether the kernel can."""
        from models.kernel.scoring import score  # noqa: PLC0415 - numba is loaded by whoever needs it

        if isinstance(self.plan, str):
            raise TypeError(f"the kernel cannot have this model: {self.plan}")
        return cast("Floats", score(self.plan, read, rows, threads, most_rows)[0])


def refused(kernels: Sequence[Kernel], rows: int, threads: int) -> str:
    """Why LightGBM scores so many rows of these models, all by one engine; empty if the kernel does."""
    leaves = [count for kernel in kernels for count in kernel.leaves]
    predict_ns = _PREDICT_NS * sum(map(_levels, leaves))
    worth_ns = rows * predict_ns / threads
    needed_ns = _START_NS + _PLAN_NS * sum(leaves)
    few = f"{rows:,} rows are too few for the kernel"
    if worth_ns < needed_ns:
        return few
    plans = []
    for kernel in kernels:
        if isinstance(kernel.plan, str):
            return kernel.plan
        plans.append(kernel.plan)
    kernel_ns = sum(map(_kernel_ns, plans))
    if kernel_ns >= predict_ns:
        return f"a tree of {max(plan.leaves for plan in plans):,} leaves is slower in the kernel"
    saved_ns = rows * (predict_ns - kernel_ns) / threads
    if saved_ns < needed_ns:
        return few
    return few if saved_ns < needed_ns + _COMPILE_NS and not _can_keep() else ""


def _levels(leaves: int) -> int:
    """How deep a tree of so many leaves is at least."""
    return (leaves - 1).bit_length()


def _kernel_ns(plan: Plan) -> float:
    lookups = int((plan.steps[:, 0] == SET_LOOKUP).sum())
    columns = len(plan.narrow) + len(plan.wide)
    return _STEP_NS * (len(plan.steps) - lookups) + _LOOKUP_NS * lookups + _CODE_NS * columns


def _can_keep() -> bool:
    from models.kernel.compiling import can_keep  # noqa: PLC0415 - as above

    return can_keep()


def logistic(slope: float) -> Callable[[Floats], Floats]:
    """The compiled logistic of a slope."""
    from models.kernel.scoring import probabilities  # noqa: PLC0415 - as above

    return lambda raw: probabilities(raw, slope)
