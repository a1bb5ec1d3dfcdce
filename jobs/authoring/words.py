"""How a new job reads: its title, what a score means, what its label is, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.authoring.wishes import Predict

if TYPE_CHECKING:
    from jobs.authoring.entities import Plan
    from jobs.authoring.naming import Output


def asked_of(plan: Plan) -> str:
    """The question that a job answers."""
    who, ahead, amount = plan.entity.name, _ahead(plan), _amount(plan)
    return {
        Predict.ANY: f"will a {who} have a row of {plan.noun} {ahead}?",
        Predict.COUNT: f"how many rows of {plan.noun} will a {who} have {ahead}?",
        Predict.SUM: f"what will the {amount} of a {who} add up to {ahead}?",
    }[plan.predict]


def meaning_of(plan: Plan) -> str:
    """What a score says."""
    who, ahead = plan.entity.name, _ahead(plan)
    return {
        Predict.ANY: f"probability that the {who} has a row of {plan.noun} {ahead}",
        Predict.COUNT: f"expected number of rows of {plan.noun} of the {who} {ahead}",
        Predict.SUM: f"expected sum of {_amount(plan)} of the {who} {ahead}",
    }[plan.predict]


def label_words(plan: Plan) -> str:
    """What the label is."""
    ahead = "in the HORIZON_DAYS days from the night on"
    return {
        Predict.ANY: f"1 if there is a row of {plan.noun} {ahead}, else 0.",
        Predict.COUNT: f"The number of rows of {plan.noun} {ahead}.",
        Predict.SUM: f"The sum of {_amount(plan)} {ahead}, in whole units.",
    }[plan.predict]


def figure_words(amount: Output) -> str:
    """What a sum of an amount is."""
    return (
        f"sum of {amount.name}"
        if amount.scale == 1
        else f"sum of {amount.name}, which is in units of 1/{amount.scale},"
    )


def _amount(plan: Plan) -> str:
    """What is added up, without the unit that its column says."""
    return plan.amount.name.removesuffix(f"_x{plan.amount.scale}") if plan.amount else ""


def _ahead(plan: Plan) -> str:
    return "on the day of the night" if plan.horizon_days == 1 else f"in the {plan.horizon_days} days from the night on"
