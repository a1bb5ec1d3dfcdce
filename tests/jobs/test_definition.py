"""A job's TOML: read whole, or refused by the name of what is wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from jobs import definition, project
from jobs.days import Calendar
from jobs.definition import Edition, JobMissing, JobRefused, Scoring, Training, job_names, load_job, parse_job
from jobs.store.home import NameRefused

if TYPE_CHECKING:
    from pathlib import Path

TOML = """\
title = "departures"
time_zone = "America/New_York"
key = ["flight_date", "carrier"]
horizon_days = 1
label_delay_days = 0
features = "flight_delay"
score = "probability"

[sql]
timetable = 1
outcomes = 12

[training]
nights = 365
warm_up_days = 31
missing_labels_max = 0.01

[scoring]
unseen_max = 0.1
"""


def parse(text: str) -> definition.Job:
    return parse_job("flight_delay", text, "jobs/flight_delay.toml")


def test_every_entry_is_read() -> None:
    job = parse(TOML)

    assert (job.name, job.title, job.score_meaning) == ("flight_delay", "departures", "probability")
    assert job.calendar == Calendar("America/New_York")
    assert job.key == ("flight_date", "carrier")
    assert (job.horizon_days, job.label_delay_days) == (1, 0)
    assert job.sql_versions == (("timetable", 1), ("outcomes", 12))
    assert job.training == Training(365, 31, 0.01)
    assert job.scoring == Scoring(0.1)
    assert job.features().KEY


def test_what_a_person_calls_it_and_which_nights_are_trained_on_may_be_said() -> None:
    """Of a label by its two meanings, of an amount by its unit; left out: rows, every night."""
    text = TOML.replace("warm_up_days", "every_nights = 5\nwarm_up_days")
    labelled = parse(f'{text}\n[words]\nthings = "flights"\nhappened = ["fine", "late"]\n')
    amount = parse(f'{TOML}\n[words]\nunit = "minutes"\n')

    assert (labelled.training.every_nights, amount.training.every_nights) == (5, 1)
    assert (labelled.words.things, amount.words.things) == ("flights", "rows")
    assert [labelled.words.said(each) for each in (0, 1, None)] == ["fine", "late", "not known yet"]
    assert [amount.words.said(each) for each in (0, 17, None)] == ["0 minutes", "17 minutes", "not known yet"]
    assert parse(TOML).words.said(3) == "3"
    for wrong in ('happened = ["late"]', 'happened = ["a", "b", "c"]', "happened = 3", 'colour = "red"', 'unit = " "'):
        with pytest.raises(JobRefused, match=r"words\.(happened|colour|unit)"):
            parse(f"{TOML}\n[words]\n{wrong}\n")


def test_how_far_row_counts_may_be_from_the_usual_has_a_default_and_may_be_switched_off() -> None:
    assert parse(TOML).scoring == Scoring(0.1, rows_least=0.6, rows_most=1.6)
    assert parse(TOML + "rows_least = 0\nrows_most = inf\n").scoring == Scoring(0.1, 0.0, float("inf"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("rows_least", "1.1"), ("rows_least", "-1"), ("rows_most", "0.9"), ("rows_most", "nan"), ("rows_most", '"2"')],
)
def test_a_share_of_the_usual_rows_that_makes_no_sense_is_refused(name: str, value: str) -> None:
    with pytest.raises(JobRefused, match=f"`scoring.{name}` must be"):
        parse(f"{TOML}{name} = {value}\n")


def test_a_cutoff_is_the_beginning_of_the_day_and_labels_mature_by_whole_nights() -> None:
    job = replace(parse(TOML), horizon_days=2, label_delay_days=3)

    assert job.cutoff(date(2013, 9, 1)).at == datetime(2013, 9, 1, 4, tzinfo=UTC)
    assert job.matured(date(2013, 9, 6)) == date(2013, 9, 1)


def entries() -> list[str]:
    """The name of every entry, with its table."""
    names, table = [], ""
    for line in TOML.splitlines():
        if line.startswith("["):
            table = line.strip("[]") + "."
            names.append(line.strip("[]"))
        elif line:
            names.append(table + line.split(" = ")[0])
    return [name for name in names if not name.startswith("sql.")]


def without(name: str) -> str:
    """The TOML without one entry, or one table."""
    table, _, entry = name.rpartition(".")
    kept, inside = [], ""
    for line in TOML.splitlines():
        inside = line.strip("[]") if line.startswith("[") else inside
        gone = inside == name or (inside == table and line.startswith(f"{entry} ="))
        kept += [] if gone else [line]
    return "\n".join(kept)


@pytest.mark.parametrize("name", entries())
def test_a_missing_entry_is_named(name: str) -> None:
    with pytest.raises(JobRefused, match=rf"^jobs/flight_delay\.toml: `{name}` is missing$"):
        parse(without(name))


def test_there_are_as_many_entries_as_that() -> None:
    """The tests above would pass on none."""
    assert len(entries()) == 14


WRONG = [
    ("title", '""', '" "', "1", "true", "[]"),
    ("score", '""', "1.5"),
    ("time_zone", "1", '""', '"Mars/Base"', '"../UTC"', '"leapseconds"'),
    ("key", "[]", '"carrier"', '["carrier", 1]', '["carrier", "carrier"]', '["", "carrier"]', "{}"),
    ("horizon_days", "0", "-1", "1.0", "true", '"1"', "36501", "2013-09-01"),
    ("label_delay_days", "-1", "0.5", "false", "99999999999999999999"),
    ("features", '""', "1", '"flight_delay.x"', '"../x"', '"flight delay"'),
    ("nights", "1", "0", "true", '"365"'),
    ("warm_up_days", "-1", "nan"),
    ("missing_labels_max", "-0.1", "1.1", "nan", "inf", "true", '"0.01"'),
    ("unseen_max", "-0.1", "1.1", "nan", "inf", "true", '"0.1"'),
    ("timetable", "0", "-1", "1.0", "true", '"1"', "[1]", "{a = 1}"),
]


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, *values in WRONG for value in values])
def test_a_wrong_value_is_refused_by_the_name_of_its_entry(name: str, value: str) -> None:
    lines = [f"{name} = {value}" if line.startswith(f"{name} =") else line for line in TOML.splitlines()]

    with pytest.raises(JobRefused, match=rf"^jobs/flight_delay\.toml: .*\b{name}\b"):
        parse("\n".join(lines))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("horizon = 1\n" + TOML, "horizon"),
        (TOML.replace("nights =", "epochs = 3\nnights ="), "training.epochs"),
        (TOML + "epochs = 3\n", "scoring.epochs"),
        (TOML + "[extra]\n", "extra"),
        (TOML + "[training.inner]\n", "training.inner"),
    ],
)
def test_an_unknown_entry_is_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(JobRefused, match=rf"unknown: {named}$"):
        parse(text)


@pytest.mark.parametrize("table", ["sql", "training", "scoring"])
def test_a_table_that_is_none_is_refused_by_name(table: str) -> None:
    with pytest.raises(JobRefused, match=f"`{table}` must be a table"):
        parse(f"{table} = 1\n" + without(table))


def test_a_job_without_a_table_of_its_own_is_refused() -> None:
    with pytest.raises(JobRefused, match="`sql` must be a table that names at least one"):
        parse(TOML.replace("timetable = 1\noutcomes = 12\n", ""))


def test_a_job_stands_in_its_current_edition_and_keeps_those_before_it() -> None:
    """The top of the file is the current one; the others follow in the order of the file."""
    of_old, older = (
        '[[earlier]]\nfeatures = "of_old"\nsql.outcomes = 3\n',
        '[[earlier]]\nfeatures = "older"\nsql.outcomes = 1\n',
    )
    job = parse(TOML + of_old + older)

    assert (job.features_module, job.sql_versions) == (job.editions[0].features_module, job.editions[0].sql_versions)
    assert job.editions[1:] == (Edition("of_old", (("outcomes", 3),)), Edition("older", (("outcomes", 1),)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("earlier = 1\n" + TOML, r"`earlier` must be tables, each under a line \[\[earlier\]\]"),
        (TOML + "[[earlier]]\nsql = { outcomes = 3 }", "`earlier.1.features` is missing"),
        (TOML + '[[earlier]]\nfeatures = "old"', "`earlier.1.sql` is missing"),
        (TOML + '[[earlier]]\nfeatures = "old"\nsql = { outcomes = 0 }', r"`earlier.1.sql.outcomes` must be a version"),
        (TOML + '[[earlier]]\nfeatures = "o-d"\nsql = { outcomes = 1 }', "`earlier.1.features` must be the name"),
        (TOML + '[[earlier]]\nfeatures = "old"\nsql = { outcomes = 1 }\nkey = 1', "unknown: earlier.1.key"),
    ],
)
def test_an_edition_that_is_incomplete_or_says_more_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(JobRefused, match=said):
        parse(text)


@pytest.mark.parametrize("text", ["title", "title = ", "[sql]\n[sql]", 'title = "a\\ud800"', "\x00"])
def test_what_is_no_toml_is_refused_with_its_file(text: str) -> None:
    with pytest.raises(JobRefused, match=r"^jobs/flight_delay\.toml: not TOML: "):
        parse(text)


def test_every_job_of_this_project_can_be_loaded() -> None:
    assert "flight_delay" in job_names()
    for name in job_names():
        job = load_job(name)
        assert [query.table for query in job.queries()] == [table for table, _ in job.sql_versions]
        assert set(job.key) == set(job.features().KEY)
        assert job.parameters().rounds > 0


def test_a_job_that_there_is_not_says_which_there_are() -> None:
    with pytest.raises(JobMissing, match=r"there is no job `flights`; there is .*flight_delay"):
        load_job("flights")
    with pytest.raises(NameRefused):
        load_job("../flight_delay")


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "latin.toml").write_bytes(TOML.replace("departures", "d\u00e9parts").encode("latin-1"))
    monkeypatch.setattr(project, "_HERE", tmp_path)

    with pytest.raises(JobRefused, match=r"latin\.toml: not UTF-8"):
        load_job("latin")


def test_files_that_a_job_lacks_are_named(tmp_path: Path) -> None:
    job = replace(parse(TOML), name="other", features_module="nobody", models_folder=tmp_path)

    with pytest.raises(JobRefused, match=r"`features` names features\.nobody, and there is no such module"):
        job.features()
    with pytest.raises(JobRefused, match=r"has no .*other\.toml"):
        job.parameters()


@pytest.mark.parametrize("name", ["runs", "publications", "views", "staging", "x_latest", "x_history"])
def test_a_job_cannot_have_the_name_of_a_relation_or_lock_of_ours(name: str) -> None:
    with pytest.raises(JobRefused, match="rename it"):
        parse_job(name, "", "jobs/x.toml")
