"""The page of faults: every one has its row, and every test that a row names is there."""

from __future__ import annotations

import ast
import re

from tests.processes import ROOT

ROW = re.compile(r"^\| ([0-9]+) \| .* \| (.*) \|$", re.MULTILINE)
NAMED = re.compile(r"`(\S+?)::(\w+)`")
ROWS = {
    int(number): NAMED.findall(tests) for number, tests in ROW.findall((ROOT / "docs/faults.md").read_text("utf-8"))
}


def names_in(path: str) -> set[str]:
    """The tests that a file holds."""
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_fault_has_its_row() -> None:
    assert list(ROWS) == list(range(1, 31))
    assert all(ROWS.values())


def test_every_test_that_a_row_names_is_there() -> None:
    missing = [f"{path}::{name}" for named in ROWS.values() for path, name in named if name not in names_in(path)]

    assert missing == []
