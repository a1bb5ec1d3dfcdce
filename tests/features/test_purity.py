"""The lint over this room, and one bad line for each of its rules."""

from __future__ import annotations

from pathlib import Path

import pytest

import features
from features.purity import findings

MODULES = sorted(Path(features.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_no_module_of_features_holds_what_could_make_a_result_vary(module: Path) -> None:
    assert [str(finding) for finding in findings(module.read_text(encoding="utf-8"), module.name)] == []


BAD = (
    ("import numpy", "import numpy"),
    ("from random import choice", "import random"),
    ("import os.path", "import os.path"),
    ("from jobs.days import Calendar", "import jobs.days"),
    ("from .. import clock", "import .."),
    ('x = pl.col("delay").mean()', ".mean()"),
    ('x = pl.mean("delay")', ".mean()"),
    ('x = pl.col("delay").std()', ".std()"),
    ('x = pl.col("delay").sum()', ".sum()"),
    ('x = pl.col("delay").cast(pl.Float64).sum()', ".sum()"),
    ('x = pl.sum("delay")', ".sum()"),
    ("x = sum(delays)", "sum()"),
    ('x = pl.col("delay").cum_sum()', ".cum_sum()"),
    ('x = pl.col("delay").rolling_mean(7)', ".rolling_mean()"),
    ('x = frame.rolling("day", period="7d")', ".rolling()"),
    ('x = pl.col("delay").ewm_mean(com=1)', ".ewm_mean()"),
    ('x = pl.col("a").dot("b")', ".dot()"),
    ('x = pl.corr("a", "b")', ".corr()"),
    ("x = late / flown", "/"),
    ("x /= flown", "/"),
    ('x = pl.col("delay").first()', ".first()"),
    ('x = pl.col("delay").last()', ".last()"),
    ("x = frame.head(1)", ".head()"),
    ('x = pl.col("delay").shift()', ".shift()"),
    ('x = frame.sort("delay")', ".sort()"),
    ('x = pl.col("delay").sort_by("day")', ".sort_by()"),
    ('x = pl.col("delay").rank()', ".rank()"),
    ('x = pl.col("delay").arg_max()', ".arg_max()"),
    ('x = pl.col("delay").mode()', ".mode()"),
    ('x = frame.join_asof(other, on="day")', ".join_asof()"),
    ('x = frame.group_by("carrier").agg(pl.len())', ".group_by()"),
    ('x = frame.join(other, on="carrier")', ".join()"),
    ("x = frame.unique()", ".unique()"),
    ('x = frame.unique("carrier", maintain_order=True)', ".unique()"),
    ('x = frame.unique(subset="carrier", maintain_order=True)', ".unique()"),
    ("x = column.value_counts()", ".value_counts()"),
    ("x = frame.sample(10)", ".sample()"),
    ("x = column.shuffle()", ".shuffle()"),
    ('x = pl.col("carrier").hash()', ".hash()"),
    ("x = hash(carrier)", "hash()"),
    ("x = datetime.now()", ".now()"),
    ("x = date.today()", ".today()"),
    ("x = os.environ", "environ"),
    ('x = pl.read_csv("weather.csv")', ".read_csv()"),
    ("x = frame.write_parquet(path)", ".write_parquet()"),
    ("x = open(path)", "open()"),
    ('x = pl.col("delay").map_elements(f)', ".map_elements()"),
    ('x = frame.sql("select 1")', ".sql()"),
    ("x = pl.SQLContext", "SQLContext"),
    ('x = getattr(column, "mean")()', "getattr()"),
    ("x = pl.Categorical", "Categorical"),
    ("x = pl.Float32", "Float32"),
    ('x = frame.collect(engine="streaming")', ".collect()"),
    ("for x in {1, 2}: pass", "loop over a set"),
    ("x = [y for y in set(carriers)]", "loop over a set"),
)


@pytest.mark.parametrize(("line", "what"), BAD, ids=[line for line, _ in BAD])
def test_a_line_that_could_vary_is_refused_with_its_place_and_what_to_do(line: str, what: str) -> None:
    found = findings(f"y = 1\n{line}\n", "late.py")

    assert [(finding.path, finding.line, finding.what) for finding in found] == [("late.py", 2, what)]
    assert str(found[0]).startswith(f"late.py:2: {what}: ")
    assert len(found[0].advice) > 20


GOOD = (
    "from collections.abc import Sequence",
    "from features.exact import total",
    "from . import shared",
    "from .shared import windows",
    'x = pl.col("delay").cast(pl.Int64).sum()',
    'x = pl.col("delay").max()',
    'x = frame.join(other, on="carrier", maintain_order="left")',
    "x = frame.unique(maintain_order=True)",
    "x = minutes // 60",
    'x = ", ".join(names)',
    "for x in sorted({1, 2}): pass",
    "x = frame.collect()",
)


@pytest.mark.parametrize("line", GOOD)
def test_what_is_exact_passes(line: str) -> None:
    assert findings(f"{line}\n", "late.py") == ()


def test_a_waiver_needs_a_reason_and_something_to_waive() -> None:
    """It stands at the end of the line on which the refused name stands, in a chain over several lines too."""
    assert findings('x = (\n    pl.col("a")\n    .rank("min")  # exact: ties share a place\n)\n', "late.py") == ()
    assert [f.what for f in findings('x = pl.col("a").rank("min")  # exact:\n', "late.py")] == [".rank()"]
    assert [f.what for f in findings("x = 1  # exact: no reason to\n", "late.py")] == ["waiver"]
    assert [f.what for f in findings('x = "# exact: this is text"; y = date.today()\n', "late.py")] == [".today()"]
