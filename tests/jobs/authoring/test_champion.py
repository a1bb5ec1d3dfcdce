"""`score check` of a job that has a champion: what is changed must leave it the files that it scores with."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.jobs.authoring.test_checking import JOB, MODULE, SQL, found, line_of

if TYPE_CHECKING:
    from tests.jobs.authoring.conftest import Shop

TWO_WEEKS = ("days=(7, 28, 90),", "days=(7, 14, 28, 90),")
NEXT = ("version=1,", "version=2,")
EARLIER = '[[earlier]]\nfeatures = "repeat_orders_v1"\nsql = { orders = 1, labels = 1 }\n\n[training]'


def keep_earlier(project: Shop) -> None:
    shutil.copy(project.folder / MODULE, project.folder / "features/repeat_orders_v1.py")
    project.edit(JOB, ("[training]", EARLIER))


def second_sql(project: Shop) -> None:
    """A version of the SQL that looks back as far, and reads one column more."""
    after = project.folder / "sql/repeat_orders/orders_v2.sql"
    shutil.copy(project.folder / SQL, after)
    project.edit(
        "sql/repeat_orders/orders_v2.sql",
        ("AS recorded_at\n", "AS recorded_at,\n  CAST(channel AS VARCHAR) AS channel\n"),
    )
    project.edit(JOB, ("orders = 1", "orders = 2"), ("[columns.orders]", '[columns.orders]\nchannel = "null allowed"'))
    assert project.run("release", "repeat_orders").code == 0


def test_a_champion_whose_files_are_as_they_were_finds_nothing_wrong(champion: Shop) -> None:
    assert champion.problems() == []


def test_features_that_changed_under_their_version_are_told_and_so_is_what_to_do(champion: Shop) -> None:
    champion.edit(MODULE, TWO_WEEKS)
    said = found(champion, MODULE, line_of(champion, MODULE, "FEATURE_SET = "))

    assert "and so is that of the champion 2025-02-01-" in said
    assert "`customer_id_orders_14d` is new" in said
    assert (
        "raise its version, and keep the module and the SQL of before under [[earlier]] in jobs/repeat_orders" in said
    )
    night = champion.run("run", "--as-of", "2025-02-01")
    assert night.code == 66
    assert "other columns of repeat_orders version 1 than the code now builds: `customer_id" in night.err
    assert "under [[earlier]] in jobs/repeat_orders.toml" in night.err


def test_a_next_version_without_the_one_before_is_told(champion: Shop) -> None:
    champion.edit(MODULE, TWO_WEEKS, NEXT)
    said = found(champion, JOB, line_of(champion, JOB, "features = "))

    assert "was trained with repeat_orders version 1, which no edition builds; repeat_orders version 2: `custom" in said
    assert "under [[earlier]] in jobs/repeat_orders.toml" in said
    assert "under [[earlier]] in jobs/repeat_orders.toml" in champion.run("run", "--as-of", "2025-02-01").err


def test_a_next_version_beside_the_one_before_is_well(champion: Shop) -> None:
    keep_earlier(champion)
    champion.edit(MODULE, TWO_WEEKS, NEXT)

    assert champion.problems() == []
    assert champion.run("run", "--as-of", "2025-02-01").code == 0


def test_other_features_by_the_number_of_an_earlier_edition_are_told(champion: Shop) -> None:
    keep_earlier(champion)
    champion.edit(MODULE, TWO_WEEKS)

    assert found(champion, MODULE, line_of(champion, MODULE, "FEATURE_SET = ")).endswith("raise its version")


def test_sql_of_a_next_version_without_the_one_before_is_told(champion: Shop) -> None:
    second_sql(champion)
    said = found(champion, JOB, line_of(champion, JOB, "orders = 2"))

    assert "was trained with orders_v1.sql, and the edition that it scores in has version 2" in said
    assert "under [[earlier]]" in said
    assert champion.run("run", "--as-of", "2025-02-01").code != 0


def test_sql_of_a_next_version_beside_the_one_before_is_well(champion: Shop) -> None:
    second_sql(champion)
    keep_earlier(champion)

    assert champion.problems() == []
    assert champion.run("run", "--as-of", "2025-02-01").code == 0


def test_a_champion_that_cannot_be_read_was_not_looked_at_and_that_is_said(champion: Shop) -> None:
    [manifest] = (champion.folder / "var/models/repeat_orders").glob("*/manifest.json")
    manifest.unlink()
    result = champion.run("check", "--as-of", "2025-02-01")

    assert result.code == 0
    assert "not looked at: the champion: " in result.out
