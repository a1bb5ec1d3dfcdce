"""What a new job's TOML files say, and the other files of a project folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.authoring import ahead_text
from jobs.authoring.ahead import OUTCOMES, AheadPlan, label_name
from jobs.authoring.naming import LABELS
from jobs.authoring.wishes import Predict
from jobs.authoring.words import asked_of, meaning_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobs.authoring.entities import Plan
    from jobs.authoring.naming import Output


_HALF = 0.45
_MISSING_MAX = 0.05


@dataclass(frozen=True, slots=True)
class Settings:
    """What the TOML files of a job of either kind say."""

    title: str
    score: str
    key: tuple[str, ...]
    tables: Mapping[str, tuple[Output, ...]]
    never_null: frozenset[str]
    missing_labels_max: float
    objective: str
    categorical: tuple[str, ...] = ()


def settings_of(plan: Plan | AheadPlan) -> Settings:
    """The settings of a new job; of its tables the columns that features read."""
    clocks = {each.name for each in (plan.event_time, plan.known_time) if each}
    never_null = frozenset({*clocks, *(each.name for each in plan.key)})
    if isinstance(plan, AheadPlan):
        title = ahead_text.asked_of(plan)
        return Settings(
            title=title,
            score=f"probability that the row ends with {plan.outcome.name} = {plan.outcome_is}",
            key=tuple(each.name for each in plan.key),
            tables={plan.noun: plan.scored_columns, OUTCOMES: plan.outcome_columns},
            never_null=never_null | ({plan.outcome_known.name} if plan.outcome_known else set()),
            missing_labels_max=plan.missing_labels_max,
            objective="binary",
            categorical=tuple(label_name(each) for each in plan.groups if each.dtype == "pl.String"),
        )
    return Settings(
        title=asked_of(plan),
        score=meaning_of(plan),
        key=(plan.entity.name,),
        tables={plan.noun: plan.columns},
        never_null=never_null,
        missing_labels_max=_MISSING_MAX,
        objective="binary" if plan.predict is Predict.ANY else "regression",
    )


def job_file(plan: Plan | AheadPlan) -> str:
    """The text of jobs/<job>.toml."""
    said = settings_of(plan)
    tables = "".join(f"{name} = 1\n" for name in (*said.tables, LABELS))
    columns = "".join(_columns(name, each, said.never_null) for name, each in said.tables.items())
    return f"""# The job `{plan.name}`, scored every night with what was known at midnight. Written by `score new`; everything here is
# yours to change, and `score check {plan.name}` says what does not fit together.

title = {_text(said.title)}
score = {_text(said.score)}
time_zone = {_text(plan.time_zone)} # whose midnight ends what a night may know
key = [{", ".join(map(_text, said.key))}] # what is scored
horizon_days = {plan.horizon_days} # how far the label looks ahead
label_delay_days = {plan.label_delay_days} # so long after the horizon nearly all of its rows are known
features = {_text(plan.name)} # features/{plan.name}.py

[sql] # the version of each table: sql/{plan.name}/<table>_v<version>.sql
{tables}{columns}
[training]
nights = {plan.nights} # at most so many nights before the as-of
warm_up_days = {plan.windows[-1]} # left out after the first day of history, so that every window is full
missing_labels_max = {said.missing_labels_max}

[scoring]
unseen_max = 0.1 # share of a night's rows with a text that training did not see
rows_least = 0.6 # of the usual number of rows of a table: one that was loaded by half is not scored unseen
rows_most = 1.6
"""


def _columns(table: str, columns: tuple[Output, ...], never_null: frozenset[str]) -> str:
    """What is expected of each column that may be null, by what the table has now."""
    found = "".join(f'{each.name} = "{_policy(each.nulls)}"\n' for each in columns if each.name not in never_null)
    remark = "# what a night may meet in a column that features read: required, or null allowed up to so much"
    return f"\n[columns.{table}] {remark}\n{found}" if found else ""


def _policy(nulls: float) -> str:
    """Twice what there is now, and a little; a half and more is as it may be."""
    if nulls == 0:
        return "required"
    return "null allowed" if nulls >= _HALF else f"null allowed up to {int(200 * nulls) + 5} %"


def model_file(plan: Plan | AheadPlan) -> str:
    """The text of models/<job>.toml."""
    said = settings_of(plan)
    return f"""# How the model of `{plan.name}` is trained: small and robust, a beginning.

objective = {_text(said.objective)}
rounds = 100 # trees
seed = 1
validation_nights = {plan.validation_nights} # the last nights, kept out of the model that is measured
categorical = [{", ".join(map(_text, said.categorical))}]

[lightgbm]
learning_rate = 0.05
num_leaves = 15
min_data_in_leaf = 100
feature_fraction = 0.5
lambda_l2 = 10.0
"""


def project_files(folder_name: str) -> Mapping[str, str]:
    """Path to text of what a project folder has beside its jobs."""
    return {
        ".gitignore": "# what was seen, learnt and scored; keep backups of it, not commits\nvar/\n__pycache__/\n",
        "README.md": _README.format(name=folder_name),
        "cron/crontab": _CRONTAB,
    }


_README = """# {name}

Jobs that are scored every night by [rescore](https://pypi.org/project/rescore/), whose every past result can be replayed to the bit.

| folder | holds |
|---|---|
| `sql/<job>/` | what is read of the warehouse, one file a table and version; a released file is never edited |
| `features/<job>.py` | what a model sees of it, and the label |
| `models/<job>.toml` | how the model is trained |
| `jobs/<job>.toml` | zone, key, horizon, versions |
| `tests/` | what features see and do not see, on small tables: `python -m unittest discover tests` |
| `cron/` | the line for the nights |
| `var/` | what was seen, learnt and scored (`SCORE_HOME`); not in git |

`SCORE_WAREHOUSE` says where the rows are. `score check` says what is wrong with a job before it runs.
"""

_CRONTAB = """# Every night: crontab cron/crontab (after setting both paths). It scores the missed nights first, and waits for a busy job.
# Exit codes other than 0 are mailed with one line that says what is wrong.
CRON_TZ=UTC
SCORE_PROJECT=/path/to/this/folder
SCORE_WAREHOUSE=duckdb:////path/to/warehouse.duckdb
45 0 * * * score run --wait 2h
"""


def _text(value: str) -> str:
    """A TOML string: JSON's escapes are among TOML's."""
    return json.dumps(value, ensure_ascii=False)
