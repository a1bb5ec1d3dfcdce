"""The files of a job that scores rows ahead: SQL, feature module, example test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.authoring.ahead import OUTCOMES, label_name
from jobs.authoring.naming import LABELS, as_source
from jobs.queries.source import file_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jobs.authoring.ahead import AheadPlan
    from jobs.authoring.naming import Output


def asked_of(plan: AheadPlan) -> str:
    """The question that the job answers."""
    span = "on the day" if plan.horizon_days == 1 else f"in the {plan.horizon_days} days from the night on"
    return f"which rows of {plan.noun} {span} will end with {plan.outcome.name} = {plan.outcome_is}?".replace('"', "'")


def sql_files(plan: AheadPlan) -> Mapping[str, str]:
    """File name to text."""
    known = f"-- known time: {plan.known_time.name}\n-- known: rewritten\n" if plan.known_time else "-- known: none\n"
    closed = (
        f"-- known time: {plan.outcome_known.name}\n-- known: rewritten\n" if plan.outcome_known else "-- known: none\n"
    )
    return {
        file_name(plan.noun, 1): (
            _declaration(plan, "population", known)
            + "\n-- What is scored: the rows ahead of a night, as far as they were known by then; never what became of them.\n"
            + _select(plan, plan.scored_columns, plan.known_time)
        ),
        file_name(OUTCOMES, 1): (
            _declaration(plan, "history", f"{closed}-- lookback: {plan.windows[-1]} days\n")
            + "\n-- What features are made of: what became of the rows that are past.\n"
            + _select(plan, plan.outcome_columns, plan.outcome_known)
        ),
        file_name(LABELS, 1): (
            _declaration(plan, "labels", closed)
            + "\n-- What became of the rows that are learnt from, as far as it is known by now.\n"
            + _select(plan, _but_groups(plan), plan.outcome_known)
        ),
    }


def _but_groups(plan: AheadPlan) -> tuple[Output, ...]:
    named = {each.name for each in plan.groups} - {each.name for each in plan.key}
    return tuple(each for each in plan.outcome_columns if each.name not in named)


def _declaration(plan: AheadPlan, role: str, rest: str) -> str:
    key = ", ".join(each.name for each in plan.key)
    return (
        f"-- grain: one row of {'.'.join(plan.source)}\n-- role: {role}\n-- key: {key}\n"
        f"-- event time: {plan.event_time.name}\n{rest}"
    )


def _select(plan: AheadPlan, columns: Iterable[Output], known: Output | None) -> str:
    event = plan.event_time.expression
    bounds = [f"{event} >= $start", f"{event} < $end", *([f"{known.expression} < $cutoff"] if known else [])]
    return (
        f"SELECT\n  {',\n  '.join(each.sql for each in columns)}\n"
        f"FROM {'.'.join(as_source(part) for part in plan.source)}\nWHERE {'\n  AND '.join(bounds)}\n"
        f"ORDER BY {', '.join(each.name for each in plan.key)}\n"
    )


def feature_file(plan: AheadPlan) -> str:
    """The text of features/<job>.py."""
    coded = [each for each in plan.groups if each.dtype == "pl.String"]
    groups = "".join(f'        Group("{g.name}", ("{g.name}",), "of the same {g.name}"),\n' for g in plan.groups)
    codes = "".join(
        f'        Feature("{label_name(g)}", pl.String(), "its {g.name}; a code once fitted"),\n' for g in coded
    )
    renamed = "".join(f'        {label_name(g)}="{g.name}",\n' for g in coded)
    return f'''"""Features and label of the job `{plan.name}`.

The question: {asked_of(plan)}

Grain: one row per night and row of {plan.noun} ahead of it, as far as the warehouse knew of it by then. Counts over
nothing are 0, shares over nothing are null.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from features.clock import nights, with_minute_of_day
from features.contract import Feature, FeatureSet
from features.exact import in_order, one_if
from features.sweep import clip_history
from features.trailing import Figure, Group, Trailing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from features.clock import Cutoff

ZONE = "{plan.time_zone}"  # as `time_zone` in jobs/{plan.name}.toml
KEY = ({_tuple(each.name for each in plan.key)})  # what tells one row of {plan.noun} from another; as `key` in jobs/{plan.name}.toml
COUNTS = {plan.outcome_is}  # the {plan.outcome.name} that the label is about

# Every figure of every group over every window of days before the night is a feature.
# Here is where most features are added. Then give FEATURE_SET a new version, and train again.
# A champion goes on scoring with the module of before: name it under [[earlier]] in the job's TOML.
TRAILING = Trailing(
    groups=(
        Group("all", ("everything",), "of all {plan.noun}"),
{groups}    ),
    figures=(
        Figure("ended", "ended", None, "rows with an outcome"),
        Figure("share", "counted", "ended", "share of the outcome that counts, of the rows with one"),
    ),
    days=({_tuple(plan.windows)}),
)

FEATURE_SET = FeatureSet(
    name="{plan.name}",
    version=1,
    features=(
{codes}        Feature("days_ahead", pl.Int32(), "days from the night to the event"),
        Feature("minute_of_day", pl.Int32(), "when it is, minutes from the start of its day"),
        Feature("weekday", pl.Int32(), "day of the week of the event, 1 is Monday"),
        *TRAILING.features(),
    ),
)


def build_features(
    tables: Mapping[str, pl.LazyFrame], cutoffs: Sequence[Cutoff], only: pl.DataFrame | None = None
) -> pl.DataFrame:
    """One row per (as_of, *KEY), in that order: every row ahead of each night, as known at its cutoff.

    Args:
        tables: those of sql/{plan.name}, with `event_day` and `visible_day`, the first night that knew of a row.
        cutoffs: the nights, one or hundreds.
        only: key rows that restrict what comes out, never what is looked at.
    """
    asked = nights(cutoffs, ZONE)
    scored = ahead(tables["{plan.noun}"].collect(), asked)
    if only is not None:
        scored = scored.join(only, on=only.columns, how="semi", maintain_order="left")
    past = ended(tables["{OUTCOMES}"].collect(), asked)
    frame = pl.concat([scored, TRAILING.columns(past, scored)], how="horizontal")
    declared = ("as_of", *KEY, *FEATURE_SET.names)
    read = ("everything", *tables["{plan.noun}"].collect_schema().names())
    computed = frame.select(*declared, pl.exclude(*declared, *read))  # one that is not declared is refused by name
    return FEATURE_SET.conform(computed, KEY)


def labels(tables: Mapping[str, pl.LazyFrame], cutoffs: Sequence[Cutoff]) -> pl.DataFrame:
    """One row per (as_of, *KEY), in that order, of the rows ahead: `label` (Int8).

    1 if its {plan.outcome.name} is COUNTS, 0 if it is another, null if it is not known.
    """
    scored = ahead(tables["{plan.noun}"].collect(), nights(cutoffs, ZONE)).select("as_of", *KEY)
    known = tables["labels"].collect().drop_nulls("{plan.outcome.name}")
    counted = known.select(*KEY, label=(pl.col("{plan.outcome.name}") == COUNTS).cast(pl.Int8))
    return scored.join(counted, on=list(KEY), how="left", maintain_order="left")


def ahead(rows: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
    """One row per (as_of, *KEY), in that order: the rows ahead of each night that were known before its cutoff."""
    known = pl.col("visible_day") <= pl.col("as_of")
    found = rows.join_where(asked.select("as_of"), known, pl.col("as_of") <= pl.col("event_day"))
    timed = with_minute_of_day(found, "{plan.event_time.name}", ZONE).with_columns(
{renamed}        days_ahead=(pl.col("event_day") - pl.col("as_of")).dt.total_days().cast(pl.Int32),
        weekday=pl.col("event_day").dt.weekday().cast(pl.Int32),
        everything=pl.lit(1, pl.Int64),
    )
    return in_order(timed, key=("as_of", *KEY))


def ended(rows: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
    """One row per past row that counts at some of the nights, with what windows sum (Int64)."""
    return clip_history(rows, max(TRAILING.days), asked["as_of"]).with_columns(
        superseded_day=pl.lit(None, pl.Date),  # a row has one version
        everything=pl.lit(1, pl.Int64),
        ended=one_if(pl.col("{plan.outcome.name}").is_not_null()),
        counted=one_if(pl.col("{plan.outcome.name}") == COUNTS),
    )
'''


def example_file(plan: AheadPlan) -> str:
    """The text of tests/test_<job>.py."""
    names = {each.name for each in plan.scored_columns} | {each.name for each in plan.outcome_columns}
    every = {each.name: each for each in (*plan.scored_columns, *plan.outcome_columns) if each.name in names}
    schema = "".join(f'    "{each.name}": {each.dtype},\n' for each in every.values())
    cells = ", ".join(f'"{each.name}": {_cell(plan, each)}' for each in every.values())
    window = plan.windows[0]
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
COUNTS = {plan.outcome_is}
# The columns that the SQL gives. A column that a further version of it adds belongs here too; rows() leaves it null.
SCHEMA = {{
    "event_day": pl.Date,
    "visible_day": pl.Date,
{schema}}}


def rows(*days, outcome=None, known=None):
    """One row for each number of days from the night to the event, visible on the day after it, or on `known`."""
    found = []
    for number, ahead in enumerate(days, start=1):
        day = NIGHT + timedelta(days=ahead)
        at = datetime.combine(day, time(12), tzinfo=UTC)
        visible = day + timedelta(days=1) if known is None else NIGHT + timedelta(days=known)
        found.append({{"event_day": day, "visible_day": visible, {cells}}})
    return pl.DataFrame(found, schema=SCHEMA).lazy()


class Test{"".join(part.capitalize() for part in plan.name.split("_"))}(unittest.TestCase):
    """A test's name says what should hold; its rows are all that it needs."""

    def features(self, scored, past):
        tables = {{"{plan.noun}": scored, "{OUTCOMES}": past}}
        return JOB.features().build_features(tables, [JOB.cutoff(NIGHT)])

    def test_a_window_counts_the_days_before_the_night(self):
        found = self.features(rows(0, known=0), rows(-1, -{window}, -{window + 1}, outcome=COUNTS))

        self.assertEqual(found["all_ended_{window}d"].to_list(), [2])
        self.assertEqual(found["all_share_{window}d"].to_list(), [1.0])

    def test_what_is_not_known_by_the_night_is_neither_scored_nor_seen(self):
        found = self.features(rows(0, known=1), rows(-1, outcome=COUNTS))
        self.assertEqual(found.height, 0)

        found = self.features(rows(0, known=0), rows(-1, 0, outcome=COUNTS))
        self.assertEqual(found["all_ended_{window}d"].to_list(), [1])

    def test_the_label_is_what_became_of_the_row(self):
        for outcome, label in ((COUNTS, 1), (None, None)):
            tables = {{"{plan.noun}": rows(0, known=0), "labels": rows(0, outcome=outcome)}}
            found = JOB.features().labels(tables, [JOB.cutoff(NIGHT)])
            self.assertEqual(found["label"].to_list(), [label])


if __name__ == "__main__":
    unittest.main()
'''


def _cell(plan: AheadPlan, column: Output) -> str:
    if column == plan.outcome:
        return "outcome"
    if column.name in {each.name for each in plan.key}:
        return "number" if column.dtype.startswith("pl.Int") else "str(number)" if column.dtype == "pl.String" else "at"
    if column.dtype.startswith("pl.Int"):
        return "1"
    return '"a"' if column.dtype == "pl.String" else "at"


def _tuple(values: Iterable[object]) -> str:
    """What stands between the parentheses of a tuple."""
    listed = [f'"{value}"' if isinstance(value, str) else str(value) for value in values]
    return f"{listed[0]}," if len(listed) == 1 else ", ".join(listed)
