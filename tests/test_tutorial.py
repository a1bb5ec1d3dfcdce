"""docs/tutorial.md is followed command by command, in an empty folder; what is answered is what stands there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tutorial import ROOT, TUTORIAL, Reader, alike, blocks, environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests import postgres
    from tests.tutorial import Block

PAGE = TUTORIAL.read_text(encoding="utf-8")
ENOUGH_FOR_A_SCORE = "score verify"  # the first scores are verified; the rest is the same on every warehouse


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """Somebody with a shell, who has installed the program."""
    folder = tmp_path / "you"
    folder.mkdir()
    with Reader(folder, environment(tmp_path)) as reader:
        yield reader


def follow(reader: Reader, block: Block) -> None:
    """Do what a block says, and compare what is answered."""
    if block.path:
        reader.write(block)
    for command in block.commands() if block.kind[0] == "console" else ():
        found = reader.run(command.line)
        said = "\n".join(found)
        assert reader.code == 0, f"$ {command.line}\n{said}"
        assert alike(command.answer, found), f"$ {command.line}\n{said}\nbut the page says\n" + "\n".join(
            command.answer
        )
        reader.learn(command.answer, found)


def test_every_command_of_the_tutorial_answers_as_it_says(reader: Reader) -> None:
    followed = [block for block in blocks(PAGE) if block.kind[1:] == ()]
    assert len(followed) > 15

    for block in followed:
        follow(reader, block)


def test_the_tutorial_leads_to_a_verified_score_on_postgresql_too(
    reader: Reader, postgres_server: postgres.Server, worker_id: str
) -> None:
    """The same commands after two others; the table is made by the same statement."""
    reader.run(f"export DATABASE_URL='{postgres_server.make(f'tutorial_{worker_id}')}'")
    of_the_file, verified = "shop.duckdb", False
    for block in blocks(PAGE):
        if block.kind[1:] == ("install",) or of_the_file in block.text or verified:
            continue
        for command in block.commands() if block.kind[0] == "console" else ():
            if "scores.duckdb" in command.line:
                continue
            said = "\n".join(reader.run(command.line))
            assert reader.code == 0, f"$ {command.line}\n{said}"
            verified = verified or command.line == ENOUGH_FOR_A_SCORE
        if block.path and not verified:
            reader.write(block)

    assert verified
    assert "1 of 1 replayed identically, every stage" in said


def test_every_page_that_the_tutorial_names_is_there() -> None:
    import re  # noqa: PLC0415  only here

    names = re.findall(r"\]\(([^)#:]+)\)", PAGE)

    assert names
    assert [name for name in names if not (ROOT / "docs" / name).is_file()] == []
