"""What a new job will be, in a few lines, and whether it shall be written: asked of a person who was asked for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.authoring.ahead import AheadPlan
from jobs.authoring.wishes import Predict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobs.authoring.asking import Ask
    from jobs.authoring.entities import Plan
    from jobs.authoring.wishes import Wish

_YES, _NO = ("yes", "y"), ("no", "n")


class NotWanted(Exception):
    """Somebody looked at what a new job would be, and does not want it so."""


def require_wanted(wish: Wish, plan: Plan | AheadPlan, ask: Ask) -> None:
    """Pass if a person wants the job, once they saw what it will be.

    Raises:
        NotWanted: if they do not.
    """
    lines = list(summary_of(wish, plan))
    width = max(len(name) for name, _ in lines)
    question = "\n".join([f"\n{plan.name}:", *(f"  {name:<{width}}  {said}" for name, said in lines), "Write this?"])
    if ask(question, usual=_YES[0], fault=_fault) not in _YES:
        raise NotWanted("nothing was written; run score new again for other answers, or say them by options")


def summary_of(wish: Wish, plan: Plan | AheadPlan) -> Iterator[tuple[str, str]]:
    """What was decided, each with what it is called; then what to know of how the table is read."""
    yield "table", ".".join(plan.source)
    if isinstance(plan, AheadPlan):
        yield "scored", f"each row that lies ahead, by {', '.join(each.name for each in plan.key)}"
    else:
        yield "scored", f"each {wish.entity}"
    yield "event time", str(wish.event_time)
    yield "known time", str(wish.known_time)
    yield "predicted", _predicted(wish)
    yield "horizon", f"{plan.horizon_days} days"
    yield "days end", f"at midnight in {plan.time_zone}"
    for remark in plan.remarks:
        yield "note", remark


def _predicted(wish: Wish) -> str:
    return {
        Predict.COUNT: "how many rows it will have",
        Predict.SUM: f"what {wish.amount} of its rows will add up to",
        Predict.OUTCOME: f"whether {wish.outcome} will be {wish.outcome_is or 'true'}",
    }.get(wish.predict or Predict.ANY, "whether it will have any row")


def _fault(answer: str) -> str:
    return "" if answer in (*_YES, *_NO) else "yes or no, please"
