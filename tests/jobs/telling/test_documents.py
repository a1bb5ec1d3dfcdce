"""What is written about telling is what is told."""

from __future__ import annotations

import re

from jobs.telling.log import FIELDS
from jobs.telling.metrics import GAUGES
from tests.jobs.telling.conftest import ROOT

TELLING = (ROOT / "docs" / "telling.md").read_text(encoding="utf-8")
RUNBOOK = (ROOT / "cron" / "RUNBOOK.md").read_text(encoding="utf-8")


def test_every_field_of_every_line_is_explained() -> None:
    table = TELLING.partition("| field | says |")[2].partition("\n\n")[0]
    explained = re.findall(r"`(\w+)`", "\n".join(line.split("|")[1] for line in table.splitlines()[2:]))

    assert explained == list(FIELDS)


def test_every_figure_is_explained_and_alerts_ask_for_figures_that_there_are() -> None:
    assert re.findall(r"^\| `(rescore_\w+)` \|", TELLING, re.MULTILINE) == list(GAUGES)
    asked = set(re.findall(r"\brescore_\w+", RUNBOOK))
    assert asked
    assert asked <= GAUGES.keys()


def test_the_alert_comes_after_a_day_and_the_wait_for_a_busy_job() -> None:
    """Two hours: `--wait 2h` in the crontab and in the unit."""
    assert "time() - rescore_last_success_timestamp_seconds > 26 * 3600" in RUNBOOK
    for name in ("crontab", "rescore.service"):
        assert "run --wait 2h" in (ROOT / "cron" / name).read_text(encoding="utf-8")


def test_the_variables_stand_where_they_are_looked_for() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    crontab = (ROOT / "cron" / "crontab").read_text(encoding="utf-8")
    for name in ("SCORE_LOG", "SCORE_METRICS", "SCORE_PING"):
        assert f"| `{name}` |" in readme
        assert f"\n## {name}: " in TELLING
        assert f"\n#{name}=" in crontab
        assert f"    {name}=" in RUNBOOK
