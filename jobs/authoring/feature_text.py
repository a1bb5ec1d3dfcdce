"""The feature module of a new job, as a person would write it and goes on editing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.authoring.wishes import Predict
from jobs.authoring.words import asked_of, figure_words, label_words
from jobs.queries.declaration import Known

if TYPE_CHECKING:
    from jobs.authoring.entities import Plan


def feature_file(plan: Plan) -> str:
    """The text of features/<job>.py."""
    return "\n".join([_head(plan), _constants(plan), _trailing(plan), _feature_set(plan), _functions(plan)])


def _head(plan: Plan) -> str:
    exact = "from features.exact import scaled\n" if plan.predict is Predict.SUM else ""
    versions = "from features.versions import newest, with_superseded_day\n" if plan.known is Known.APPENDED else ""
    return f'''"""Features and label of the job `{plan.name}`.

The question: {asked_of(plan)}

Grain: one row per night and {plan.entity.name}, of those with a row of {plan.noun} in the {plan.seen_days} days
before the night, as far as the warehouse knew of it by then. Counts and sums over nothing are 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from features.clock import nights
from features.contract import Feature, FeatureSet
{exact}from features.lastknown import last_known
from features.seen import seen
from features.sweep import clip_history, windows
from features.trailing import Figure, Group, Trailing
{versions}
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from features.clock import Cutoff
'''


def _constants(plan: Plan) -> str:
    return f'''ZONE = "{plan.time_zone}"  # as `time_zone` in jobs/{plan.name}.toml
KEY = ("{plan.entity.name}",)  # what is scored; as `key` in jobs/{plan.name}.toml
ROW = ({_tuple(each.name for each in plan.key)})  # what tells one row of {plan.noun} from another
SEEN_DAYS = {plan.seen_days}  # who has no row for so long is not scored; the SQL looks back at least as far
HORIZON_DAYS = {plan.horizon_days}  # how far the label looks ahead; as `horizon_days` in jobs/{plan.name}.toml
'''


def _trailing(plan: Plan) -> str:
    figures = f'''        Figure("{plan.noun}", "{plan.noun}", None, "rows of {plan.noun}"),
'''
    if plan.amount:
        figures += f'''        Figure("{plan.amount.name}", "{plan.amount.name}", None, "{figure_words(plan.amount)}"),
'''
    return f'''# Every figure of every group over every window of days before the night is a feature, so the first is
# {plan.entity.name}_{plan.noun}_{plan.windows[0]}d.
# Here is where most features are added. Then give FEATURE_SET a new version, and train again.
# A champion goes on scoring with the module of before: name it under [[earlier]] in the job's TOML.
TRAILING = Trailing(
    groups=(Group("{plan.entity.name}", ("{plan.entity.name}",), "of the {plan.entity.name}"),),
    figures=(
{figures}    ),
    days=({_tuple(plan.windows)}),
)
'''


def _feature_set(plan: Plan) -> str:
    return f'''FEATURE_SET = FeatureSet(
    name="{plan.name}",
    version=1,
    features=(
        *TRAILING.features(),
        Feature("days_since_last", pl.Int32(), "days since the last row of {plan.noun} that was known"),
        Feature("weekday", pl.Int32(), "day of the week of the night, 1 is Monday"),
        Feature("day_of_month", pl.Int32(), "day of the month of the night, from 1"),
    ),
)

'''


def _functions(plan: Plan) -> str:
    return "\n\n".join([_build(plan), _labels(plan), _rows(plan), _recency(plan), _CALENDAR])


def _build(plan: Plan) -> str:
    return f'''def build_features(
    tables: Mapping[str, pl.LazyFrame], cutoffs: Sequence[Cutoff], only: pl.DataFrame | None = None
) -> pl.DataFrame:
    """One row per (as_of, *KEY), in that order: whoever is scored on each night, as known at its cutoff.

    Args:
        tables: those of sql/{plan.name}, with `event_day` and `visible_day`, the first night that knew of a row.
        cutoffs: the nights, one or hundreds.
        only: key rows that restrict what comes out, never what is looked at.
    """
    asked = nights(cutoffs, ZONE)
    history = known_rows(tables["{plan.noun}"].collect(), asked)
    scored = seen(history, by=KEY, days=SEEN_DAYS, asked=asked)
    if only is not None:
        scored = scored.join(only, on=only.columns, how="semi", maintain_order="left")
    parts = (scored, TRAILING.columns(history, scored), recency(history, scored), calendar(scored))
    return FEATURE_SET.conform(pl.concat(parts, how="horizontal"), KEY)  # these columns in this order, and no other
'''


def _labels(plan: Plan) -> str:
    summed = plan.amount.name if plan.predict is Predict.SUM and plan.amount else plan.noun
    dtype, value = {
        Predict.ANY: ("Int8", "(ahead > 0).cast(pl.Int8)"),
        Predict.COUNT: ("Int64", "ahead"),
        Predict.SUM: ("Float64", f"scaled(ahead, {plan.amount.scale if plan.amount else 1})"),
    }[plan.predict]
    rows = (
        f'newest(tables["labels"].collect(), ROW, "{plan.known_time.name}")'
        if plan.known is Known.APPENDED and plan.known_time
        else 'tables["labels"].collect()'
    )
    return f'''def labels(tables: Mapping[str, pl.LazyFrame], cutoffs: Sequence[Cutoff]) -> pl.DataFrame:
    """One row per (as_of, *KEY), in that order, of whoever is scored: `label` ({dtype}).

    {label_words(plan)}
    Null where these days were not over when the newest row became known.
    """
    asked = nights(cutoffs, ZONE)
    scored = seen(known_rows(tables["{plan.noun}"].collect(), asked), by=KEY, days=SEEN_DAYS, asked=asked)
    happened = {rows}
    counted = happened.with_columns(
        {plan.noun}=pl.lit(1, pl.Int64),
        visible_day=pl.col("event_day").dt.offset_by("1d"),  # whenever it became known
        superseded_day=pl.lit(None, pl.Date),
    )
    ends = scored.with_columns(as_of=pl.col("as_of").dt.offset_by(f"{{HORIZON_DAYS}}d"))
    found = windows(counted, by=KEY, sums=("{summed}",), days=(HORIZON_DAYS,), asked=ends)
    over = pl.col("end") <= pl.lit(happened["visible_day"].max(), pl.Date)
    ahead = pl.col(f"{summed}_{{HORIZON_DAYS}}d")
    both = pl.concat([ends.select(end="as_of"), found], how="horizontal")
    label = both.select(label=pl.when(over).then({value}))
    return pl.concat([scored, label], how="horizontal")
'''


def _rows(plan: Plan) -> str:
    if plan.known is Known.APPENDED and plan.known_time:
        begin = f'    rows = with_superseded_day(rows, ROW, "{plan.known_time.name}")\n'
        superseded = ""
    else:
        begin = ""
        superseded = "        superseded_day=pl.lit(None, pl.Date),  # a row has one version\n"
    return f'''def known_rows(rows: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
    """One row per row of {plan.noun} that counts at some of the nights, with what windows sum (Int64)."""
{begin}    return clip_history(rows, max(SEEN_DAYS, *TRAILING.days), asked["as_of"]).with_columns(
{superseded}        {plan.noun}=pl.lit(1, pl.Int64),
        last_day="event_day",
    )
'''


def _recency(plan: Plan) -> str:
    within = [plan.event_time.name, *(each.name for each in plan.key)]
    within += [plan.known_time.name] if plan.known is Known.APPENDED and plan.known_time else []
    order = tuple(dict.fromkeys(name for name in within if name != plan.entity.name))
    return f'''def recency(history: pl.DataFrame, scored: pl.DataFrame) -> pl.DataFrame:
    """One row per row of `scored`, in its order: days since the last row that was known."""
    order = ({_tuple(order)})
    last = last_known(history, by=KEY, newest=order, values=("last_day",), days=SEEN_DAYS, asked=scored)
    days = (scored["as_of"] - last["last_day"]).dt.total_days()
    return scored.select(days_since_last=days.cast(pl.Int32))
'''


_CALENDAR = '''def calendar(scored: pl.DataFrame) -> pl.DataFrame:
    """One row per row of `scored`, in its order: where the night lies in the week and in the month."""
    night = pl.col("as_of").dt
    return scored.select(weekday=night.weekday().cast(pl.Int32), day_of_month=night.day().cast(pl.Int32))
'''


def _tuple(values: object) -> str:
    """What stands between the parentheses of a tuple."""
    listed = [f'"{value}"' if isinstance(value, str) else str(value) for value in values]  # type: ignore[attr-defined]
    return f"{listed[0]}," if len(listed) == 1 else ", ".join(listed)
