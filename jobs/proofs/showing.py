"""What `score prove` prints."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

from jobs.screen import say

if TYPE_CHECKING:
    from jobs.proofs.proving import Finding, Proven
    from jobs.screen import Screen

_DIFFERS = 81
_WIDTH = 100
_NAME = 17


def show_proven(screen: Screen, proven: Proven) -> int:
    """Every proof and what it found; returns the exit code."""
    content = {
        "job": proven.job,
        "as_of": proven.as_of,
        "model_version": proven.model_version,
        "held": proven.held,
        "recorded": proven.recorded,
        "proofs": [
            {"name": each.name, "held": each.held, "claim": each.claim, "detail": each.detail}
            for each in proven.findings
        ],
    }
    screen.show(content, lambda: _lines(proven))
    broken = [each.name for each in proven.findings if not each.held]
    if broken:
        screen.warn(f"{len(broken)} of {len(proven.findings)} proofs did not hold: {', '.join(broken)}")
    return _DIFFERS if broken else 0


def _lines(proven: Proven) -> None:
    say(f"{proven.job} as of {proven.as_of}, model {proven.model_version}: what may not matter, and whether it did")
    say()
    for finding in proven.findings:
        _finding_lines(finding)
    held = sum(1 for each in proven.findings if each.held)
    say()
    recorded = "; on record" if proven.recorded else "; some proofs only, not recorded"
    say(f"{held} of {len(proven.findings)} proofs held{recorded}")


def _finding_lines(finding: Finding) -> None:
    say(f"{'held  ' if finding.held else 'BROKEN'}  {finding.name:<{_NAME}} {finding.claim}")
    indent = " " * 8
    say(fill(finding.detail, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False))
