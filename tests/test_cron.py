"""The files that whoever is on call relies on agree with the program and with each other.

That a real cron daemon runs them is checked by `.ci/cron-check`, which needs root.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jobs.cli import app
from jobs.definition import job_names, load_job
from jobs.exits import CODES
from jobs.steps.nights import MOST_NIGHTS

CRON = Path(__file__).resolve().parents[1] / "cron"
CRONTAB = (CRON / "crontab").read_text(encoding="utf-8")
SERVICE = (CRON / "rescore.service").read_text(encoding="utf-8")
TIMER = (CRON / "rescore.timer").read_text(encoding="utf-8")
RUNBOOK = (CRON / "RUNBOOK.md").read_text(encoding="utf-8")


def active(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("code", sorted(CODES))
def test_the_runbook_explains_every_exit_code(code: int) -> None:
    assert f"### {code} {CODES[code]}\n" in RUNBOOK


def test_every_command_in_the_runbook_exists() -> None:
    shown = "\n".join(re.findall(r"`[^`]+`|^    .*$", RUNBOOK, re.MULTILINE))
    known = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}

    assert set(re.findall(r"\bscore ([a-z]+)\b", shown)) <= known


def test_the_runbook_asks_the_doctor_first_and_where_the_machine_may_be_at_fault() -> None:
    sections = {each.partition("\n")[0]: each for each in re.split(r"^##+ ", RUNBOOK, flags=re.MULTILINE)}
    first = sections["First look"].partition("\n")[2].strip()

    assert first.startswith("score doctor\n")
    for code in (66, 74, 77, 78, 81):
        assert (
            "`score doctor`" in sections[f"{code} {CODES[code]}"]
            or "    score doctor " in sections[f"{code} {CODES[code]}"]
        )


def test_the_runbook_knows_how_many_nights_are_caught_up_at_once() -> None:
    assert f"at most {MOST_NIGHTS} nights" in RUNBOOK


def test_the_crontab_has_one_line_and_needs_nothing_from_its_environment() -> None:
    """What cron passes on is almost nothing: every path is absolute, and `%` would be a line break."""
    settings = [line for line in active(CRONTAB) if re.match(r"[A-Z_]+=", line)]
    lines = [line for line in active(CRONTAB) if line not in settings]
    values = dict(line.split("=", 1) for line in settings)

    assert len(lines) == 1
    assert "%" not in lines[0]
    assert values["SCORE_HOME"].startswith("/")
    assert values["SCORE_WAREHOUSE"].startswith("duckdb:////")
    assert " /opt/rescore/bin/score run --wait 2h;" in lines[0]
    assert CRONTAB.endswith("\n"), "cron ignores a last line without its end"


def test_cron_and_systemd_start_the_same_thing_at_the_same_time_in_the_zone_of_the_jobs() -> None:
    zones = {load_job(name).calendar.zone_name for name in job_names()}

    assert zones == {"America/New_York"}
    assert "CRON_TZ=America/New_York" in active(CRONTAB)
    assert any(line.startswith("45 0 * * * ") for line in active(CRONTAB))
    assert "OnCalendar=*-*-* 00:45:00 America/New_York" in active(TIMER)
    assert "ExecStart=/opt/rescore/bin/score run --wait 2h" in active(SERVICE)
    for setting in (line for line in active(CRONTAB) if line.startswith("SCORE_")):
        assert f"Environment={setting}" in active(SERVICE)


def test_systemd_tries_again_only_what_may_be_over_in_a_while() -> None:
    """The warehouse is down, the disk is full: everything else waits for a person."""
    [prevented] = re.findall(r"^RestartPreventExitStatus=(.*)$", SERVICE, re.MULTILINE)

    assert set(CODES) - {int(code) for code in prevented.split()} == {0, 69, 74, 130, 143}
