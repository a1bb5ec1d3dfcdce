"""The notebook of docs/: it runs as it stands, and its digests are those of the command line."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import nbformat
import pytest

from tests.notebook import EXECUTED, NOTEBOOK, clean, execute, sources_sha256

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import World

DIGEST = r"[0-9a-f]{64}"
SILENT = {"import json"}  # first lines of cells that show nothing


@pytest.fixture(scope="module")
def committed() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(notebook: nbformat.NotebookNode) -> str:
    """What its cells print and show, as text."""
    outputs = [output for cell in code(notebook) for output in cell.outputs]
    return "\n".join(output.get("text") or output["data"]["text/plain"] for output in outputs)


def test_the_notebook_runs_and_its_digests_are_those_of_the_command_line(world: World, tmp_path: Path) -> None:
    """Research equals production: in a kernel of its own, on a home that a nightly job has left."""
    ran = [world.run("run", "--as-of", night, "--json").json["runs"][-1] for night in ("2013-04-12", "2013-04-13")]
    folder, person = tmp_path / "somewhere", tmp_path / "person"
    folder.mkdir()
    person.mkdir()

    shown = printed(execute(folder, {**os.environ, "HOME": str(person)}))

    newest = ran[-1]
    assert re.findall(rf"^scores \w+(?: \w+)? +({DIGEST})$", shown, re.MULTILINE) == [newest["scores_digest"]] * 2
    [challenger] = re.findall(r"--model (\S+) --as-of 2013-04-13 ", shown)
    found = re.findall(rf"^challenger.* ({DIGEST})$", shown, re.MULTILINE)
    told = world.run("backfill", "--model", challenger, "--as-of", "2013-04-13", "--json").json["runs"][0]
    assert found == [told["scores_digest"]] * 2
    assert told["status"] == "already_published"  # by the notebook's last cell, into the history
    assert world.published("SELECT DISTINCT model_version FROM flight_delay") == [(newest["model_version"],)]
    assert [*folder.iterdir(), *person.iterdir()] == []


def test_every_cell_was_executed_in_order_and_shows_what_it_says(committed: nbformat.NotebookNode) -> None:
    cells = code(committed)

    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert {cell.source.splitlines()[0] for cell in cells if not cell.outputs} == SILENT
    assert {output.output_type for cell in cells for output in cell.outputs} == {"stream", "execute_result"}
    assert {output.get("name", "stdout") for cell in cells for output in cell.outputs} == {"stdout"}


def test_the_outputs_are_of_the_code_that_they_stand_under(committed: nbformat.NotebookNode) -> None:
    """After a change of a cell they are renewed: CONTRIBUTING.md says how."""
    assert committed.metadata[EXECUTED] == sources_sha256(committed)


def test_the_committed_digests_agree_with_each_other(committed: nbformat.NotebookNode) -> None:
    shown = printed(committed)

    for line in ("scores", "challenger"):
        digests = re.findall(rf"^{line}.* ({DIGEST})$", shown, re.MULTILINE)
        assert len(digests) == 2
        assert len(set(digests)) == 1


def test_nothing_says_who_executed_it_where_and_when(committed: nbformat.NotebookNode) -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")

    assert clean(nbformat.read(NOTEBOOK, as_version=4)) == committed
    assert set(committed.metadata) == {"kernelspec", "language_info", EXECUTED}
    assert re.findall(r"/(?:tmp|home|root|var|usr|Users|work)/[^\s\"\\]+", text) == []
    assert os.uname().nodename not in text
    assert not re.search(r"\b20(?:1[4-9]|[2-9]\d)-\d\d-\d\d", text), "a day after the nights that it is about"


def test_its_pages_are_there(committed: nbformat.NotebookNode) -> None:
    """Links between the notebook and the pages that name it."""
    prose = "\n".join(cell.source for cell in committed.cells if cell.cell_type == "markdown")

    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", prose)
    assert links
    assert [link for link in links if not (NOTEBOOK.parent / link).exists()] == []
    for page in (NOTEBOOK.parents[1] / "README.md", NOTEBOOK.with_name("research.md")):
        assert NOTEBOOK.name in page.read_text(encoding="utf-8")
