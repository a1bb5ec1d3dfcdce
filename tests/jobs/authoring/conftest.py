"""A shop's orders in a DuckDB file, and projects whose jobs are written from a look at it."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from jobs.cli import call
from tests.conftest import Result

if TYPE_CHECKING:
    from collections.abc import Callable

TUTORIAL = Path(__file__).resolve().parents[3] / "docs" / "tutorial.md"
OPTIONS = (
    "--table", "orders", "--entity", "customer_id", "--event-time", "ordered_at", "--known-time", "recorded_at",
    "--amount", "amount",
)  # fmt: skip
NIGHT = "2025-02-01"


def shop_sql() -> str:
    """The statement of the tutorial that makes the table."""
    found = re.search(r"```sql\n(-- .*?CREATE TABLE orders.*?)```", TUTORIAL.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return found[1]


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse with one table."""
    path = tmp_path_factory.mktemp("shop") / "shop.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(shop_sql())
    return path


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory, shop: Path) -> Path:
    """A project with one job, `repeat_orders`, as `score new` writes it; tests work on copies."""
    folder = tmp_path_factory.mktemp("written") / "project"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCORE_WAREHOUSE", f"duckdb:///{shop}")
        arguments = [
            "--project",
            str(folder),
            "new",
            "repeat_orders",
            *OPTIONS,
            "--predict",
            "any",
            "--horizon-days",
            "28",
        ]
        assert call(arguments) == 0
    return folder


@dataclass
class Shop:
    """A project folder, and the program run on it, in this process."""

    folder: Path
    run: Callable[..., Result]

    def edit(self, path: str, *changes: tuple[str, str]) -> None:
        """Replace texts of a file; each must be there."""
        text = (self.folder / path).read_text(encoding="utf-8")
        for before, after in changes:
            assert before in text, f"{path} has no {before!r}"
            text = text.replace(before, after, 1)
        (self.folder / path).write_text(text, encoding="utf-8")

    def problems(self, *arguments: str) -> list[tuple[str, int, str]]:
        """What `score check` finds: file in the project, line, problem."""
        result = self.run("check", "--as-of", NIGHT, "--json", *arguments)
        [job] = json.loads(result.out)["jobs"]
        assert (result.code != 0) == bool(job["problems"])
        return [
            (self.within(each["file"]), each["line"], f"{each['problem']}; {each['what_to_do']}".rstrip("; "))
            for each in job["problems"]
        ]

    def within(self, path: str) -> str:
        """A path as it is called in the project."""
        return path.removeprefix(f"{self.folder}/")

    def json(self, *arguments: str) -> Any:  # noqa: ANN401  of any command
        """The document that a command prints."""
        return json.loads(self.run(*arguments, "--json").out)


@pytest.fixture
def project(
    tmp_path: Path, written: Path, shop: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Shop:
    """A copy of the project, and the program in this process."""
    folder = tmp_path / "project"
    shutil.copytree(written, folder)
    monkeypatch.setenv("SCORE_WAREHOUSE", f"duckdb:///{shop}")
    monkeypatch.delenv("SCORE_HOME", raising=False)

    def run(*arguments: str) -> Result:
        capfd.readouterr()
        code = call(["--project", str(folder), *arguments])
        captured = capfd.readouterr()
        return Result(code, captured.out, captured.err)

    return Shop(folder, run)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, written: Path, shop: Path) -> Path:
    """The same project with a champion; tests work on copies, for a module is loaded once for each folder."""
    folder = tmp_path_factory.mktemp("trained") / "project"
    shutil.copytree(written, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCORE_WAREHOUSE", f"duckdb:///{shop}")
        patch.delenv("SCORE_HOME", raising=False)
        assert call(["--project", str(folder), "train", "repeat_orders", "--as-of", NIGHT]) == 0
    return folder


@pytest.fixture
def champion(project: Shop, trained: Path) -> Shop:
    """A copy of the project with a champion."""
    shutil.copytree(trained / "var", project.folder / "var")
    return project
