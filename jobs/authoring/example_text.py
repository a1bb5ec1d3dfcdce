"""The example test of a new job: small tables, what the features see of them, and what they must not see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.authoring.wishes import Predict

if TYPE_CHECKING:
    from jobs.authoring.entities import Plan
    from jobs.authoring.naming import Output

_AMOUNT = 5  # of each row
_NUMBERS = frozenset({"pl.Int8", "pl.Int16", "pl.Int32", "pl.Int64"})


def example_file(plan: Plan) -> str:
    """The text of tests/test_<job>.py."""
    a, b, c = _names(plan.entity)
    schema = "".join(f'    "{each.name}": {each.dtype},\n' for each in plan.columns)
    count, window = f"{plan.entity.name}_{plan.noun}", plan.windows[0]
    far = window + 1
    expected = f"{{{a}: 2, {b}: 0}}"
    label = {Predict.ANY: "1", Predict.COUNT: "2", Predict.SUM: f"{2 * _AMOUNT}.0"}[plan.predict]
    return f'''"""What the job `{plan.name}` sees, and does not see, on tables small enough to check by hand.

Run it in the project's folder: python -m unittest discover tests, or pytest.
"""

import unittest
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import polars as pl

from jobs.definition import load_job
from jobs.project import project_at

JOB = load_job("{plan.name}", project_at(Path(__file__).resolve().parents[1]))
NIGHT = date({plan.first_as_of.year}, {plan.first_as_of.month}, {plan.first_as_of.day})
# The columns that the SQL gives. A column that a further version of it adds belongs here too; rows() leaves it null.
SCHEMA = {{
    "event_day": pl.Date,
    "visible_day": pl.Date,
{schema}}}


def rows(*happened):
    """One row of {plan.noun} for each ({plan.entity.name}, days before the night), known on the day after it."""
    found = []
    for number, (who, before) in enumerate(happened, start=1):
        day = NIGHT - timedelta(days=before)
        at = datetime.combine(day, time(12), tzinfo=UTC) + timedelta(seconds=number)
        seen = {{"event_day": day, "visible_day": day + timedelta(days=1)}}
        found.append({{**seen, {_cells(plan)}}})
    return pl.DataFrame(found, schema=SCHEMA).lazy()


class Test{_class(plan.name)}(unittest.TestCase):
    """A test's name says what should hold; its rows are all that it needs."""

    def features(self, history):
        return JOB.features().build_features({{"{plan.noun}": history}}, [JOB.cutoff(NIGHT)])

    def test_a_window_counts_the_days_before_the_night(self):
        """The second has a row {far} days before: longer ago than the window of {window} days, and recent enough to be scored."""
        found = self.features(rows(({a}, 1), ({a}, {window}), ({b}, {far})))

        self.assertEqual(dict(zip(found["{plan.entity.name}"], found["{count}_{window}d"], strict=True)), {expected})

    def test_what_happens_on_the_day_of_the_night_is_not_seen(self):
        before = rows(({a}, 1), ({b}, 2))
        after = rows(({a}, 1), ({b}, 2), ({a}, 0), ({c}, 0))

        self.assertTrue(self.features(before).equals(self.features(after)))

    def test_the_label_is_of_the_days_from_the_night_on(self):
        """The rows on the night's own day count, the one at the end of the horizon does not."""
        history = rows(({a}, 1), ({b}, 1))
        later = rows(({a}, 0), ({a}, 0), ({b}, -{plan.horizon_days}))
        found = JOB.features().labels({{"{plan.noun}": history, "labels": later}}, [JOB.cutoff(NIGHT)])

        self.assertEqual(dict(zip(found["{plan.entity.name}"], found["label"], strict=True)), {{{a}: {label}, {b}: 0}})


if __name__ == "__main__":
    unittest.main()
'''


def _names(entity: Output) -> tuple[str, str, str]:
    """Three entities, as Python writes them."""
    return ("1", "2", "3") if entity.dtype in _NUMBERS else ('"a"', '"b"', '"c"')


def _cells(plan: Plan) -> str:
    return ", ".join(f'"{each.name}": {_cell(plan, each)}' for each in plan.columns)


def _cell(plan: Plan, column: Output) -> str:
    if column == plan.entity:
        return "who"
    if column == plan.amount:
        return str(_AMOUNT * column.scale)
    if column.dtype in _NUMBERS:
        return "number"
    return "str(number)" if column.dtype == "pl.String" else "at"


def _class(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
