"""`score new`: from tables of many shapes to jobs that run, and one line where that cannot be."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import date
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from jobs.authoring.asking import ask_for_rest
from jobs.authoring.facts import event_times, look_at
from jobs.authoring.planning import plan_of
from jobs.authoring.warehouse import open_looker
from jobs.authoring.wishes import Predict, Wish, WishRefused, find_table
from jobs.cli import call
from jobs.warehouse.addresses import FileAddress
from tests.jobs.authoring.conftest import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jobs.authoring.asking import Fault
    from jobs.authoring.entities import Plan
    from tests.jobs.authoring.conftest import Shop

ROOT = Path(__file__).resolve().parents[3]
VISITS = """
    CREATE TABLE "ClinicVisits" AS
    SELECT
        'p' || n % 23 AS "PatientID",
        DATE '2024-01-01' + CAST(n % 211 AS INTEGER) AS "order",
        CAST(n % 7 AS DOUBLE) / 4 AS hours,
        CASE WHEN n % 10 = 0 THEN NULL ELSE n % 5 END AS rank
    FROM generate_series(1, 23 * 211) AS series(n)
"""
CORRECTED = """
    CREATE TABLE shipments AS
    SELECT
        n // 2 AS shipment_id,
        CAST(n // 2 % 31 AS SMALLINT) AS depot_no,
        TIMESTAMP '2024-01-01 06:00:00' + to_hours(n // 2) AS sent_at,
        TIMESTAMP '2024-01-01 07:00:00' + to_hours(n // 2 + n % 2 * 30) AS loaded_at,
        CAST(n % 90 AS DECIMAL(12, 3)) AS tons
    FROM generate_series(2, 9001) AS series(n)
"""

APPOINTMENTS = """
    CREATE TABLE appointments AS
    SELECT
        n AS appointment_id,
        'clinic ' || n % 5 AS clinic,
        n % 3 AS "group",
        TIMESTAMPTZ '2024-01-01 08:00:00+00' + to_days(CAST(n % 200 AS INTEGER)) + to_minutes(n % 500) AS starts_at,
        starts_at - to_hours(30 + n % 200) AS booked_at,
        CASE WHEN starts_at >= '2024-07-01 00:00:00+00' THEN NULL WHEN n * 7 % 10 < n % 5 THEN 'missed' ELSE 'seen' END
            AS status,
        CASE WHEN status IS NOT NULL THEN starts_at + to_hours(1 + n % 40) END AS closed_at
    FROM generate_series(1, 8000) AS series(n)
"""
NOT_OURS = ("--ignore", "INP001,I001")  # in a project, features/ is no package, and ours are installed
AHEAD = (
    "--table", "appointments", "--event-time", "starts_at", "--known-time", "booked_at", "--predict", "outcome",
    "--outcome", "status",
)  # fmt: skip


def plan_for(path: Path, wish: Wish) -> Plan:
    with open_looker(FileAddress(path)) as looker:
        return plan_of(wish, looker)


@pytest.fixture
def other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A warehouse with tables as people have them."""
    path = tmp_path / "other.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute(VISITS)
        con.execute(CORRECTED)
        con.execute(APPOINTMENTS)
        con.execute('CREATE TABLE "odd name" AS SELECT *, depot_no AS "depot no" FROM shipments')
        con.execute("CREATE TABLE twice AS SELECT 1 AS a, TIMESTAMPTZ '2024-01-01' AS at FROM generate_series(1, 9)")
    monkeypatch.setenv("SCORE_WAREHOUSE", f"duckdb:///{path}")
    monkeypatch.delenv("SCORE_HOME", raising=False)
    return path


def made(folder: Path, *arguments: str) -> None:
    """A job that was written without a fault, and whose example test passes with what is installed."""
    assert call(["--project", str(folder), "new", *arguments]) == 0
    assert run_tests(folder).returncode == 0
    lint = [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml"), *NOT_OURS, "features"]
    linted = subprocess.run(lint, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert linted.returncode == 0, linted.stdout


def run_tests(folder: Path) -> subprocess.CompletedProcess[bytes]:
    """The tests of a project, by a process of its own."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    tests = [sys.executable, "-m", "unittest", "discover", "tests"]
    return subprocess.run(tests, cwd=folder, env=environ, capture_output=True, check=False, timeout=120)


def run_night(folder: Path, job: str, as_of: str, capfd: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """The verdicts on the first night of a job: trained, scored and verified."""
    for command in (["train", job, "--as-of", as_of], ["run", job, "--as-of", as_of]):
        assert call(["--project", str(folder), *command]) == 0
    capfd.readouterr()
    assert call(["--project", str(folder), "verify", "--json"]) == 0
    return list(json.loads(capfd.readouterr().out)["runs"])


def test_a_table_with_odd_names_without_key_and_known_time_becomes_a_job_that_runs(
    tmp_path: Path, other: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Columns in capitals and of keywords, a DATE for a clock, a fraction to be summed; the key is two columns."""
    folder = tmp_path / "of the clinic"
    wish = Wish("hours_ahead", "clinicvisits", "patientid", "ORDER", "none", Predict.SUM, "hours", 7)
    plan = plan_for(other, wish)

    assert [each.name for each in plan.key] == ["patientid", "order_"]
    assert any("does not say when the warehouse knew" in each for each in plan.remarks)
    assert any("is DATE, without a time zone: it is read as UTC" in each for each in plan.remarks)
    assert any("hours is DOUBLE" in each and "rounded to hundredths" in each for each in plan.remarks)

    made(
        folder, "hours_ahead", "--table", "ClinicVisits", "--entity", "PatientID", "--event-time", "order",
        "--known-time", "none", "--predict", "sum", "--amount", "hours", "--horizon-days", "7",
    )  # fmt: skip
    assert "_x100" not in (folder / "jobs/hours_ahead.toml").read_text(encoding="utf-8").partition("[sql]")[0]
    assert "The sum of hours in the HORIZON_DAYS days" in (folder / "features/hours_ahead.py").read_text(
        encoding="utf-8"
    )
    [verdict] = run_night(folder, "hours_ahead", "2024-07-30", capfd)
    assert verdict["identical"]


def test_further_rows_of_one_key_are_read_as_corrections(
    tmp_path: Path, other: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Every shipment is loaded twice, a day apart: only the newest row that is known counts, once."""
    assert other.is_file()
    folder = tmp_path / "depots"
    made(
        folder, "depots", "--table", "shipments", "--entity", "depot_no", "--event-time", "sent_at",
        "--known-time", "loaded_at", "--predict", "count", "--amount", "tons", "--horizon-days", "3",
        "--time-zone", "America/New_York",
    )  # fmt: skip
    sql = (folder / "sql/depots/shipments_v1.sql").read_text(encoding="utf-8")

    assert "-- known: appended\n" in sql
    assert "ORDER BY shipment_id, loaded_at" in sql
    assert "label_delay_days = 2" in (folder / "jobs/depots.toml").read_text(encoding="utf-8")
    [verdict] = run_night(folder, "depots", "2024-06-30", capfd)
    assert verdict["identical"]


@pytest.mark.parametrize(("horizon", "closed"), [("1", "closed_at"), ("3", "none")])
def test_rows_that_lie_ahead_are_scored_for_what_will_become_of_them(
    tmp_path: Path, other: Path, capfd: pytest.CaptureFixture[str], horizon: str, closed: str
) -> None:
    """Appointments of the coming days, by what became of past ones; their outcome is never read ahead."""
    folder = tmp_path / "clinic"
    assert other.is_file()
    more = ("--outcome-is", "missed", "--outcome-known", closed, "--horizon-days", horizon)
    made(folder, "missed_ahead", *AHEAD, *more)
    population = (folder / "sql/missed_ahead/appointments_v1.sql").read_text(encoding="utf-8")

    assert "-- role: population" in population
    assert "status" not in population
    assert 'categorical = ["clinic_code"]' in (folder / "models/missed_ahead.toml").read_text(encoding="utf-8")
    [verdict] = run_night(folder, "missed_ahead", "2024-06-20", capfd)
    assert verdict["identical"]


def test_of_rows_ahead_too_a_column_that_was_computed_and_not_declared_is_named(
    tmp_path: Path, other: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """In a copy, for a module is loaded once for each folder."""
    assert other.is_file()
    more = ("--outcome-is", "missed", "--outcome-known", "closed_at", "--horizon-days", "1")
    assert call(["--project", str(tmp_path / "clinic"), "new", "missed_ahead", *AHEAD, *more]) == 0
    edited = shutil.copytree(tmp_path / "clinic", tmp_path / "edited")
    module = edited / "features" / "missed_ahead.py"
    text = module.read_text(encoding="utf-8")
    module.write_text(
        text.replace("        days_ahead=", '        month=pl.col("event_day").dt.month(),\n        days_ahead=')
    )
    capfd.readouterr()

    assert call(["--project", str(edited), "check", "--as-of", "2024-06-20"]) == 78
    assert "extra month" in capfd.readouterr().out


def test_a_column_is_added_to_an_example_test_by_one_line(project: Shop) -> None:
    """As its comment says: to SCHEMA; the rows that are there already have none of it."""
    example = "tests/test_repeat_orders.py"
    project.edit(example, ('    "event_day": pl.Date,\n', '    "event_day": pl.Date,\n    "channel": pl.String,\n'))

    assert "A column that a further version of it adds belongs here" in (project.folder / example).read_text()
    assert run_tests(project.folder).returncode == 0


def test_a_value_that_no_outcome_has_is_refused(tmp_path: Path, other: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert other.is_file()

    assert call(["--project", str(tmp_path / "p"), "new", "gone", *AHEAD, "--horizon-days", "1"]) == 2
    assert "no row of appointments has 'true' in status; name another value" in capfd.readouterr().err
    assert call(["--project", str(tmp_path / "p"), "new", "gone", *AHEAD[:-2]]) == 2
    assert "needs also --outcome COLUMN (status, " in capfd.readouterr().err


def test_what_was_not_said_is_one_line_with_what_the_warehouse_has(
    tmp_path: Path, shop: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SCORE_WAREHOUSE", f"duckdb:///{shop}")
    code = call(["--project", str(tmp_path / "p"), "new", "again", "--table", "orders", "--predict", "sum"])
    said = capfd.readouterr().err

    assert code == 2
    assert said.count("\n") == 1
    for part in (
        "--entity COLUMN (customer_id",
        "--event-time COLUMN (ordered_at",
        "--known-time COLUMN (",
        "--horizon",
    ):
        assert part in said
    assert "--amount COLUMN (amount" in said
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"--table": "visits"}, 2, "no table visits; it has orders"),
        ({"--entity": "client"}, 2, "--entity: orders has no column client"),
        ({"--event-time": "amount"}, 2, "--event-time: amount of orders is DECIMAL(10,2)"),
        ({"--known-time": "ordered_at"}, 2, "ordered_at is the event time already"),
        ({"--amount": "channel"}, 2, "--amount: channel of orders is VARCHAR"),
        ({"--horizon-days": "0"}, 2, "0 is not from 1 to 366"),
        ({"--time-zone": "Mars"}, 2, "no time zone `Mars`"),
        ({"--predict": "churn"}, 2, "'churn' is none of any, count, sum"),
        ({"--horizon-days": "300"}, 65, "choose a shorter horizon"),
        ({"--key": "channel"}, 65, "have several ordered_at"),
        ({"--key": "channel", "--known-time": "none"}, 65, "does not tell the rows of orders apart"),
    ],
    ids=lambda value: " ".join(value.values()) if isinstance(value, dict) else None,
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    tmp_path: Path,
    shop: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    changes: dict[str, str],
    code: int,
    said: str,
) -> None:
    monkeypatch.setenv("SCORE_WAREHOUSE", f"duckdb:///{shop}")
    given = dict(zip(OPTIONS[::2], OPTIONS[1::2], strict=True)) | {"--predict": "any", "--horizon-days": "28"} | changes
    options = [part for pair in given.items() for part in pair]

    assert call(["--project", str(tmp_path / "p"), "new", "again", *options]) == code
    assert said in capfd.readouterr().err
    assert not (tmp_path / "p").exists()


def test_a_table_whose_rows_nothing_tells_apart_is_refused(
    tmp_path: Path, other: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert other.is_file()
    options = ("--table", "twice", "--entity", "a", "--event-time", "at", "--known-time", "none", "--predict", "any")

    assert call(["--project", str(tmp_path / "p"), "new", "again", *options, "--horizon-days", "1"]) == 65
    assert "tells its 9 rows apart; name the columns that do: --key" in capfd.readouterr().err


def test_a_table_whose_name_no_versioned_sql_can_say_is_refused(other: Path) -> None:
    wish = Wish("odd", "odd name", "depot no", "sent_at", "none", Predict.ANY, None, 3)

    with pytest.raises(WishRefused, match=r"--entity: depot no is no plain name.*--table: odd name is no plain name"):
        plan_for(other, wish)


@pytest.mark.parametrize(
    "name", ["", "Orders", "two words", "class", "order", "runs", "x_latest", "../x", "1st", "x" * 60]
)
def test_a_name_that_no_job_can_have_is_refused(name: str, project: Shop) -> None:
    assert project.run("new", name, *OPTIONS).code == 2


def test_nothing_is_ever_overwritten(project: Shop) -> None:
    before = {path: path.read_bytes() for path in project.folder.rglob("*") if path.is_file()}
    result = project.run("new", "repeat_orders", *OPTIONS, "--predict", "any", "--horizon-days", "28")

    assert result.code == 78
    assert "jobs/repeat_orders.toml, models/repeat_orders.toml, features/repeat_orders.py" in result.err
    assert {path: path.read_bytes() for path in project.folder.rglob("*") if path.is_file()} == before


def test_a_second_job_joins_the_project_and_leaves_its_files_alone(project: Shop) -> None:
    (project.folder / "README.md").write_text("ours\n", encoding="utf-8")
    result = project.run("new", "often", *OPTIONS, "--predict", "count", "--horizon-days", "7", "--json")

    assert result.code == 0
    assert json.loads(result.out)["project_files"] == []
    assert 'baseline = "customer_id_orders_7d"' in (project.folder / "models/often.toml").read_text(encoding="utf-8")
    assert (project.folder / "README.md").read_text(encoding="utf-8") == "ours\n"
    assert project.run("check", "--as-of", "2025-02-01").code == 0


def test_no_job_is_written_into_the_source_of_the_program(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT / "docs")

    assert call(["new", "again"]) == 2
    assert "lies in the source of the program" in capfd.readouterr().err


TICKETS = """
    CREATE SCHEMA helpdesk;
    CREATE TABLE helpdesk.tickets AS
    SELECT
        n AS ticket_id,
        n % 12 AS machine_id,
        TIMESTAMP '2024-01-01 02:00:00' + to_hours(n) AS opened_at,
        TIMESTAMPTZ '2024-01-01 01:00:00+00' + to_hours(n) AS opened_utc,
        opened_at - to_hours(3) AS created_at,
        CASE WHEN n % 4 > 0 THEN opened_utc + to_hours(5) END AS closed_at
    FROM generate_series(1, 5000) AS series(n);
    CREATE TABLE machines AS
    SELECT n AS machine_id, TIMESTAMPTZ '2023-01-01' AS built_at FROM generate_series(0, 11) AS series(n);
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A warehouse whose tickets say when they were opened once without and once with a time zone."""
    path = tmp_path / "desk.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(TICKETS)
    monkeypatch.setenv("SCORE_WAREHOUSE", f"duckdb:///{path}")
    monkeypatch.delenv("SCORE_HOME", raising=False)
    return path


def test_a_clock_without_zone_is_said_to_be_read_as_utc_and_what_to_take_instead(desk: Path) -> None:
    wish = Wish("tix", "helpdesk.tickets", "machine_id", "opened_at", "none", Predict.ANY, None, 7, "Europe/Berlin")
    with pytest.raises(WishRefused, match=r"closed_at is null in 1,250 of 5,000 rows; it must never be, or say none"):
        plan_for(desk, replace(wish, known_time="closed_at"))
    [said] = [each for each in plan_for(desk, wish).remarks if "opened_at" in each]

    assert "read as UTC, not as Europe/Berlin" in said
    assert "take a TIMESTAMPTZ column (opened_utc), or read the table through a view" in said
    assert "(opened_at AT TIME ZONE 'Europe/Berlin')" in said
    assert not any("opened_utc" in each for each in plan_for(desk, replace(wish, event_time="opened_utc")).remarks)


def test_an_instant_is_proposed_as_event_time_before_a_clock_without_zone(desk: Path) -> None:
    with open_looker(FileAddress(desk)) as looker:
        found = event_times(look_at(looker, ("helpdesk", "tickets")))

    assert [each.name for each in found] == ["opened_utc", "opened_at", "created_at"]


def answers(*given: str) -> Callable[..., str]:
    """Somebody who answers one question after the other."""
    left = list(given)

    def ask(_question: str, among: Sequence[tuple[str, str]] = (), usual: str = "", fault: Fault | None = None) -> str:
        answer = left.pop(0) or usual or among[0][0]
        assert not among or answer in {name for name, _ in among}, f"{answer} is none of {among}"
        assert fault is None or not fault(answer)
        return answer

    return ask


def test_a_person_is_asked_for_what_was_not_said_and_for_nothing_else(shop: Path) -> None:
    with open_looker(FileAddress(shop)) as looker:
        every = ask_for_rest(
            Wish("spent", time_zone=""), looker,
            answers("orders", "sum", "customer_id", "ordered_at", "recorded_at", "amount", "", "Europe/Berlin"),
        )  # fmt: skip
        plan = plan_of(every, looker)
        wish = Wish("spent", "orders", "customer_id", "ordered_at", "none", Predict.ANY, None, 7)

        assert ask_for_rest(wish, looker, answers()) == wish
    assert (plan.predict, plan.horizon_days, plan.time_zone, plan.newest) == (
        Predict.SUM, 28, "Europe/Berlin", date(2025, 2, 10),
    )  # fmt: skip


def test_a_job_that_is_not_wanted_as_it_would_be_is_not_written(
    tmp_path: Path, desk: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whoever answers with Enter all the way sees what that means before a file is there."""
    assert desk.is_file()
    monkeypatch.setattr(sys, "stdin", TerminalOf("helpdesk.tickets\n" + 6 * "\n" + "no\n"))

    assert call(["--project", str(tmp_path / "p"), "new", "tix"]) == 2
    said = capfd.readouterr().err
    for line in ("table       helpdesk.tickets", "scored      each machine_id", "event time  opened_utc",
                 "known time  none", "predicted   whether it will have any row", "horizon     28 days"):  # fmt: skip
        assert f"  {line}\n" in said
    assert "Write this? [yes] score: nothing was written; run score new again" in said
    assert not (tmp_path / "p").exists()


class TerminalOf(StringIO):
    """Lines that are typed at a terminal."""

    def isatty(self) -> bool:
        """As a terminal says."""
        return True


def test_none_is_proposed_where_no_column_is_likely_to_say_when_a_row_was_known(desk: Path, shop: Path) -> None:
    """Another clock that is never null is a choice, and so is one that is called like a loader's but lies before."""
    asked = {}
    for path, table in ((desk, "helpdesk.tickets"), (shop, "orders")):
        event = "opened_utc" if path == desk else "ordered_at"
        with open_looker(FileAddress(path)) as looker:
            wish = ask_for_rest(Wish("tix", table, "x", event, None, Predict.ANY, None, 7), looker, answers(""))
            asked[table] = wish.known_time
    assert asked == {"helpdesk.tickets": "none", "orders": "recorded_at"}


def test_a_table_needs_no_schema_where_only_one_is_called_so(desk: Path) -> None:
    with duckdb.connect(str(desk)) as con:
        con.execute("CREATE SCHEMA old; CREATE TABLE old.machines AS FROM machines")
        con.execute("CREATE TABLE old.parts AS FROM machines")
        con.execute("CREATE TABLE helpdesk.parts AS FROM machines")
    with open_looker(FileAddress(desk)) as looker:
        found = [find_table(looker, name) for name in ("Tickets", "machines", "old.machines", "parts", "desks")]

    assert found == [("helpdesk", "tickets"), ("machines",), ("old", "machines"), None, None]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Berlin", "do you mean Europe/Berlin?"),
        ("new york", "do you mean America/New_York?"),
        ("utc", "do you mean Etc/UTC, UTC?"),
    ],
)
def test_a_zone_is_proposed_by_how_it_ends(desk: Path, name: str, said: str) -> None:
    wish = Wish("tix", "tickets", "machine_id", "opened_utc", "none", Predict.ANY, None, 7, name)

    with pytest.raises(WishRefused) as refused:
        plan_for(desk, wish)
    assert str(refused.value).endswith(said)


def test_at_a_terminal_a_number_is_an_answer_and_nonsense_is_asked_again(tmp_path: Path, shop: Path) -> None:
    """A real terminal: what is typed is answered to questions on stderr, and the job is there."""
    import pty  # noqa: PLC0415  only here

    folder = tmp_path / "asked"
    folder.mkdir()
    ours, theirs = pty.openpty()
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "SCORE_WAREHOUSE": f"duckdb:///{shop}", "SCORE_HOME": ""}
    with subprocess.Popen(
        [sys.executable, "-m", "jobs", "new", "again"], cwd=folder, env=environ, stdin=theirs, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as program:  # fmt: skip
        os.write(ours, b"nonsense\n1\n1\n1\n1\n1\ntwo weeks\n0\n14\nBerlin\nEurope/Berlin\nperhaps\n\n")
        out, err = program.communicate(timeout=120)
    os.close(ours)
    os.close(theirs)

    assert program.returncode == 0, err
    assert "one of these, by its name or its number, please" in err
    assert "two weeks is not from 1 to 366" in err
    assert "do you mean Europe/Berlin?" in err
    assert "  days end    at midnight in Europe/Berlin\n" in err
    assert "yes or no, please" in err
    assert "to undo it, delete these files: rm -r jobs/again.toml " in out
    assert "horizon_days = 14" in (folder / "jobs" / "again.toml").read_text(encoding="utf-8")
    assert "again: nothing is wrong" in out
    assert (folder / "jobs" / "again.toml").is_file()
