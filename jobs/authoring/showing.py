"""What was written of a new job, and what a check found, as the command line prints it; and the exit codes."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from jobs.authoring.problems import exit_code
from jobs.authoring.writing import job_paths
from jobs.screen import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobs.authoring.making import Made
    from jobs.authoring.problems import Checked
    from jobs.screen import Screen


def show_written(screen: Screen, made: Made) -> int:
    """The files of a new job, what to know of how its table is read, and the commands that come next."""
    written, checked = made.written, made.checked
    content = {
        "job": written.plan.name,
        "folder": str(written.folder),
        "files": list(written.files),
        "project_files": list(written.project_files),
        "remarks": list(written.plan.remarks),
        "as_of": written.plan.first_as_of,
        **_json_of(checked),
    }
    screen.show(content, lambda: _written_lines(made))
    return exit_code([checked])


def _written_lines(made: Made) -> None:
    plan, written, score = made.written.plan, made.written, made.program
    if written.project_files:
        say(f"{written.folder} is a project now: {', '.join(written.project_files)}")
    say(f"{plan.name}, in {written.folder}:")
    for path in written.files:
        say(f"  {path}")
    say("its SQL is released; the same SQL for other engines lies beside it")
    say(f"to undo it, delete these files: rm -r {' '.join(path for path in job_paths(plan.name))}")
    for remark in plan.remarks:
        say(f"note: {remark}")
    _checked_lines(made.checked)
    if made.checked.problems:
        return
    say()
    say("Next:")
    say(f"  {score} train {plan.name} --as-of {plan.first_as_of}")
    say(f"  {score} run {plan.name} --as-of {plan.first_as_of}")
    say("  python -m unittest discover tests")


def show_checked(screen: Screen, checked: Sequence[Checked]) -> int:
    """Every problem, by job, file and line; returns the exit code."""
    code = exit_code(checked)
    content: dict[str, object] = {"jobs": [{"job": each.job, **_json_of(each)} for each in checked]}
    screen.show(content, lambda: _each(checked))
    count = sum(len(each.problems) for each in checked)
    if count:
        screen.warn(f"{count} {'thing is' if count == 1 else 'things are'} wrong; nothing was changed")
    return code


def _each(checked: Sequence[Checked]) -> None:
    for one in checked:
        _checked_lines(one)


def _json_of(checked: Checked) -> dict[str, object]:
    return {
        "problems": [asdict(each) for each in checked.problems],
        "not_looked_at": list(checked.not_looked_at),
    }


def _checked_lines(checked: Checked) -> None:
    for problem in checked.problems:
        place = f"{problem.file}:{problem.line}" if problem.line else problem.file
        say(f"{place}: {problem.problem}")
        if problem.what_to_do:
            say(f"    {problem.what_to_do}")
    for each in checked.not_looked_at:
        say(f"not looked at: {each}")
    if not checked.problems:
        said = f" ({', '.join(checked.looked_at)})" if checked.looked_at else ""
        where = " in what was looked at" if checked.not_looked_at else ""
        say(f"{checked.job}: nothing is wrong{where}{said}")
