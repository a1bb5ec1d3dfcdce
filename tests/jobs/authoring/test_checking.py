"""`score check`: everything that is wrong, at once, each at its place; and nothing where nothing is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import duckdb
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs.authoring.conftest import Shop

JOB, MODEL, MODULE = "jobs/repeat_orders.toml", "models/repeat_orders.toml", "features/repeat_orders.py"
SQL, LABELS = "sql/repeat_orders/orders_v1.sql", "sql/repeat_orders/labels_v1.sql"


def line_of(project: Shop, path: str, text: str) -> int:
    """The first line of a file that holds a text."""
    lines = (project.folder / path).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, start=1) if text in line)


def found(project: Shop, path: str, line: int) -> str:
    """What is wrong there, all of it."""
    problems = [what for where, number, what in project.problems() if (where, number) == (path, line)]
    assert problems, project.problems()
    return " | ".join(problems)


def test_a_job_as_it_is_written_has_nothing_wrong(project: Shop) -> None:
    assert project.problems() == []

    result = project.run("check", "--as-of", "2025-02-01")

    assert result.code == 0
    assert result.out.startswith("repeat_orders: nothing is wrong (2 queries, 9 features, ")


WRONG = (
    (JOB, 'time_zone = "UTC"', 'time_zone = "Mars"', "time_zone", "no time zone `Mars`"),
    (JOB, "horizon_days = 28", 'horizon_days = "28"', "horizon_days", "`horizon_days` must be a whole number"),
    (JOB, "missing_labels_max = 0.05\n", "epochs = 3\n", "epochs", "unknown: training.epochs"),
    (JOB, "orders = 1\n", "orders = 1\nvisits = 2\n", "visits", "there is no"),
    (JOB, "rows_most = 1.6", "rows_most = 0.5", "rows_most", "must be a number from 1"),
    (MODEL, "rounds = 100", "rounds = 0", "rounds", "`rounds` is 0"),
    (MODEL, "num_leaves = 15", "leaves = 15\nlinear_tree = true", "leaves", "`leaves` is not among what may be tuned"),
    (MODEL, "lambda_l2 = 10.0", "lambda_l2 = -1.0", "lambda_l2", "`lambda_l2` is -1.0"),
    (SQL, "-- lookback: 90 days", "-- lookback: long", "-- lookback", "`lookback` is `long`"),
    (SQL, "CAST(customer_id AS INTEGER)", "CAST(customer_id AS REAL)", "AS REAL", "a cast to `REAL`"),
    (LABELS, "ORDER BY order_id", "ORDER BY ordered_at", "ORDER BY", "no tie may be left open"),
    (LABELS, "  AND recorded_at < $cutoff\n", "", "WHERE ordered_at", "no bound of `recorded_at`"),
    (MODULE, "asked = nights(cutoffs, ZONE)\n    history", "asked = pl.mean('a')\n    history", "pl.mean", ".mean()"),
    (MODULE, "def labels(tables", "def labels(rows", "def labels(rows", "labels takes (rows, cutoffs)"),
)


def test_everything_that_is_wrong_is_said_at_once_each_with_file_and_line(project: Shop) -> None:
    """Each file is broken in several places, and none hides another; the missing entry has its table's line."""
    for path, before, after, _, _ in WRONG:
        project.edit(path, (before, after))
    problems = project.problems()

    for path, _, _, place, what in (*WRONG, (JOB, "", "", "[training]", "`training.missing_labels_max` is missing")):
        here = [said for where, line, said in problems if (where, line) == (path, line_of(project, path, place))]
        assert any(what in said for said in here), (place, problems)
    assert project.run("check").code == 78


def test_all_that_is_wrong_with_members_and_calibration_is_said_at_once(project: Shop) -> None:
    members = """
[[members]]
name = "one"
weight = 0.5
[[members]]
name = "two"
rounds = 5
seed = -1
[members.lightgbm]
linear_tree = true
[[members]]
name = "one"
seed = 3
[calibration]
method = "beta"
"""
    project.edit(MODEL, ("[lightgbm]", members.lstrip() + "[lightgbm]"))
    for text, what in (
        ("weight = 0.5", "`weight` is 0.5"),
        ("seed = -1", "`seed` is -1"),
        ("linear_tree", "`linear_tree` is refused"),
        ('method = "beta"', "`method` is 'beta'"),
    ):
        assert what in found(project, MODEL, line_of(project, MODEL, text)), project.problems()
    assert any("two members are called `one`" in what for _, _, what in project.problems())


def test_a_member_that_learns_from_no_feature_is_wrong(project: Shop) -> None:
    member = '[[members]]\nname = "one"\nwithout = ["tail_*"]\n'
    project.edit(MODEL, ("[lightgbm]", member + "[lightgbm]"))

    assert "names `tail_*`, and no feature is called so" in found(project, MODEL, line_of(project, MODEL, '"one"'))


def test_a_window_beyond_the_lookback_is_wrong(project: Shop) -> None:
    project.edit(MODULE, ("days=(7, 28, 90),", "days=(7, 28, 91),"))
    assert "91 days, and the SQL looks back 90" in found(project, MODULE, line_of(project, MODULE, "TRAILING = "))


def test_a_window_beyond_the_warm_up_is_wrong(project: Shop) -> None:
    project.edit(JOB, ("warm_up_days = 90", "warm_up_days = 30"))
    assert "is 30, and a window of TRAILING is 90" in found(project, JOB, line_of(project, JOB, "warm_up_days"))


def test_a_column_that_the_sql_does_not_give_is_named_where_the_feature_asks_for_it(project: Shop) -> None:
    project.edit(MODULE, ('Figure("amount_x100", "amount_x100", None', 'Figure("amount_x100", "amount_cents", None'))

    assert "the column `amount_cents`, which no table has here" in found(
        project, MODULE, line_of(project, MODULE, "parts = ")
    )


def test_a_table_that_the_job_does_not_have_is_named(project: Shop) -> None:
    project.edit(MODULE, ('history = known_rows(tables["orders"]', 'history = known_rows(tables["order"]'))

    assert "the table 'order'; there is orders, labels" in found(
        project, MODULE, line_of(project, MODULE, 'tables["order"]')
    )


NIGHTS = "    asked = nights(cutoffs, ZONE"
LITERAL = 'FEATURE_SET = FeatureSet(\n    name="repeat_orders",'
UNFIT = (
    (LITERAL, LITERAL.replace("FeatureSet(", "(lambda **a: FeatureSet(**a))("), "FEATURE_SET = ", "no literal"),
    (
        "only: pl.DataFrame | None = None\n",
        "rest: pl.DataFrame | None = None\n",
        "def build_features",
        "cutoffs, rest)",
    ),
    ("def labels(tables: ", "def labels(rows: ", "def labels", "takes (rows, cutoffs)"),
    ("import polars as pl\n", "import polars as pl\nimport numpy\n", "import numpy", "import numpy"),
    ("import Feature, FeatureSet", "import Feature, FeatureSat", "FeatureSat", "cannot import name 'FeatureSat'"),
    (f"{NIGHTS})\n    history", f"{NIGHTS}\n    history", NIGHTS, "it is no Python"),
    ('"weekday", pl.Int32()', '"weekday", pl.Int64()', "return FEATURE_SET.conform", "retyped weekday"),
    ("(ahead > 0).cast(pl.Int8)", "(ahead > 0).cast(pl.Float64)", "def labels", "repeat_orders.toml is binary"),
    ("both.select(label=", "both.select(target=", "def labels", "gives the columns as_of, customer_id, target"),
    (
        "HORIZON_DAYS = 28 ",
        "HORIZON_DAYS = 7 ",
        "HORIZON_DAYS = ",
        "HORIZON_DAYS is 7, and `horizon_days` in repeat_ord",
    ),
    ('KEY = ("customer_id",)', 'KEY = ("order_id",)', "KEY = ", "KEY is order_id, and `key`"),
)


@pytest.mark.parametrize(("before", "after", "place", "said"), UNFIT, ids=[said for *_, said in UNFIT])
def test_a_feature_module_that_is_not_fit_is_told_at_its_line(
    project: Shop, before: str, after: str, place: str, said: str
) -> None:
    project.edit(MODULE, (before, after))

    assert said in found(project, MODULE, line_of(project, MODULE, place))


def test_a_column_that_was_computed_and_not_declared_is_named(project: Shop) -> None:
    project.edit(MODULE, ("return scored.select(weekday=", "return scored.select(month=night.month(), weekday="))

    assert "extra month; FEATURE_SET declares every computed column" in found(
        project, MODULE, line_of(project, MODULE, "return FEATURE_SET.conform")
    )


def test_a_module_or_a_model_that_is_not_there_is_told(project: Shop) -> None:
    (project.folder / MODULE).unlink()
    (project.folder / MODEL).unlink()
    problems = project.problems()

    assert any(path == JOB and "it is not there" in said for path, _, said in problems)
    assert any((path, line) == (MODEL, 0) and "it is not there" in said for path, line, said in problems)


def test_sql_that_was_edited_after_its_release_or_never_released_is_told(project: Shop) -> None:
    project.edit(SQL, ("-- feature needs", "-- feature may need"))
    released = project.folder / "sql/repeat_orders/released.txt"
    lines = released.read_text(encoding="utf-8").splitlines()
    released.write_text("".join(f"{line}\n" for line in lines if "labels" not in line), encoding="utf-8")
    problems = {path: said for path, _, said in project.problems()}

    assert "was edited after its release" in problems[SQL]
    assert "not released" in problems[LABELS]


def test_categories_that_are_no_features_or_fractions_are_told(project: Shop) -> None:
    project.edit(MODEL, ("categorical = []", 'categorical = ["channel"]\nbaseline = "orders_7d"'))

    assert "names channel, which is no feature" in found(project, MODEL, line_of(project, MODEL, "categorical"))
    assert "names orders_7d, which is no feature" in found(project, MODEL, line_of(project, MODEL, "baseline"))


TRANSFORMS = """from features.fitted import {kind}

TRANSFORMS = ({kind}(("{column}",)),)


def build_features("""


def test_transforms_of_what_is_no_feature_are_told(project: Shop) -> None:
    project.edit(MODULE, ("def build_features(", TRANSFORMS.format(kind="MedianImputation", column="channel")))

    line = line_of(project, MODULE, "TRANSFORMS = ")
    assert "median imputation is declared for channel, which repeat_orders has not" in found(project, MODULE, line)


def test_a_feature_that_a_transform_adds_may_be_a_category(project: Shop) -> None:
    project.edit(MODULE, ("def build_features(", TRANSFORMS.format(kind="MissingIndicator", column="days_since_last")))
    project.edit(MODEL, ("categorical = []", 'categorical = ["days_since_last_missing"]'))

    assert project.problems() == []


def test_nights_too_few_for_their_validation_are_told(project: Shop) -> None:
    project.edit(JOB, ("nights = 365", "nights = 58"))

    assert "28 of them are for validation" in found(project, JOB, line_of(project, JOB, "nights = 58"))


def test_what_the_warehouse_lacks_is_told_and_so_are_keys_that_occur_twice(
    project: Shop, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows alone are exit 65; a source column that is gone too: that is of the data."""
    path = tmp_path / "other.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute(f"ATTACH '{shop}' AS shop (READ_ONLY)")
        con.execute("CREATE TABLE orders AS FROM shop.orders")
        con.execute(
            "INSERT INTO orders FROM orders WHERE order_id = "
            "(SELECT max(order_id) FROM orders WHERE ordered_at > '2025-01-20' AND recorded_at < '2025-02-01')"
        )
    monkeypatch.setenv("SCORE_WAREHOUSE", f"duckdb:///{path}")
    result = project.run("check", "--as-of", "2025-02-01", "--json")

    assert result.code == 65
    assert {(project.within(each["file"]), each["code"]) for each in json.loads(result.out)["jobs"][0]["problems"]} == {
        (SQL, 65),
        (LABELS, 65),
    }

    with duckdb.connect(str(path)) as con:
        con.execute("ALTER TABLE orders RENAME amount TO total")
    problems = project.problems()
    lines = [(path, line_of(project, path, "CAST(amount AS")) for path in (LABELS, SQL)]
    assert [(path, number) for path, number, _ in problems] == lines
    assert all("the source table orders has no column amount" in said for _, _, said in problems), problems


def test_a_warehouse_that_cannot_be_read_was_not_looked_at_and_that_is_said(
    project: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCORE_WAREHOUSE", f"duckdb:///{tmp_path}/gone.duckdb")
    result = project.run("check")

    assert result.code == 0
    assert "not looked at: the warehouse: there is no warehouse at" in result.out


def test_a_warehouse_that_was_named_from_another_folder_says_from_where_it_counts(
    project: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder / "sql")
    monkeypatch.setenv("SCORE_WAREHOUSE", "duckdb:///shop.duckdb")
    sql = project.folder / "sql"
    said = f"at {sql}/shop.duckdb: duckdb:///shop.duckdb counts from the current folder, {sql}"

    assert said in project.run("check").out
    assert said in project.run("new", "more", "--table", "orders").err
    monkeypatch.setenv("SCORE_WAREHOUSE", f"duckdb:///{sql}/shop.duckdb")
    assert "counts from" not in project.run("check").out


def test_a_day_without_rows_says_that_keys_were_not_looked_at(project: Shop) -> None:
    result = project.run("check", "--as-of", "2020-01-01")

    assert result.code == 0
    assert "not looked at: the keys of orders: no rows from 2019-12-02 to before 2020-01-01" in result.out


def test_of_a_table_that_ended_the_day_of_its_newest_row_is_said(project: Shop, shop: Path) -> None:
    with duckdb.connect(str(shop), read_only=True) as con:
        con.execute("SET TimeZone = 'UTC'")
        [(newest, after)] = con.execute(
            "SELECT max(CAST(ordered_at AS DATE)), max(ordered_at)::DATE + 1 FROM orders"
        ).fetchall()
    result = project.run("check", "--as-of", "2026-01-01")

    assert f"the newest before is of {newest}; look as of the day after it: --as-of {after}\n" in result.out
    assert "repeat_orders: nothing is wrong in what was looked at (" in result.out
    assert "not looked at" not in project.run("check", "--as-of", str(after)).out


def test_a_job_that_there_is_not_is_an_input_that_is_missing(project: Shop) -> None:
    assert project.run("check", "visits").code == 66


def test_the_jobs_of_this_program_have_nothing_wrong(world: object) -> None:
    result = world.run("check", "--json", "--as-of", "2013-04-10")  # type: ignore[attr-defined]

    assert [each["problems"] for each in json.loads(result.out)["jobs"]] == [[]] * len(json.loads(result.out)["jobs"])
