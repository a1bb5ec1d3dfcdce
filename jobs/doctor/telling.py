"""A diagnosis as the command line prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.screen import entries, say

if TYPE_CHECKING:
    from jobs.doctor.checking import Diagnosis, Finding
    from jobs.screen import Screen

_STATES = {True: "ok", False: "WRONG", None: "-"}


def show_diagnosis(screen: Screen, diagnosis: Diagnosis) -> int:
    """The environment and what every check found; returns the exit code: of the first that is wrong."""
    checks = [
        {"name": each.name, "job": each.job or None, "ok": each.ok, "detail": each.detail}
        for each in diagnosis.findings
    ]
    screen.show({"environment": diagnosis.environment, "checks": checks}, lambda: _lines(diagnosis))
    wrong = diagnosis.wrong
    for each in wrong[:1]:
        more = f" (and {len(wrong) - 1} more)" if wrong[1:] else ""
        screen.warn(f"{_name(each, diagnosis)} is wrong{more}: {each.detail}")
    return wrong[0].code if wrong else 0


def _lines(diagnosis: Diagnosis) -> None:
    entries([(name, "-" if value is None else str(value)) for name, value in diagnosis.environment.items()])
    say()
    entries([(_STATES[each.ok], _name(each, diagnosis), each.detail) for each in diagnosis.findings])
    skipped = sum(1 for each in diagnosis.findings if each.ok is None)
    said = f"{len(diagnosis.wrong)} wrong" if diagnosis.wrong else "nothing is wrong"
    say(f"{len(diagnosis.findings)} checks: {said}{f', {skipped} not looked at' if skipped else ''}")


def _name(finding: Finding, diagnosis: Diagnosis) -> str:
    """The check's name, and of which job, where there are several."""
    several = len({each.job for each in diagnosis.findings if each.job}) > 1
    return f"{finding.name} of {finding.job}" if several and finding.job else finding.name
