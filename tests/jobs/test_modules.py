"""Feature modules of a project: loaded by path under private names, refused with file and line."""

from __future__ import annotations

import os
import py_compile
import sys
from typing import TYPE_CHECKING

import pytest

import features.exact as engines
from jobs.modules import ModuleRefused, load_features
from jobs.project import OURS, Project

if TYPE_CHECKING:
    from pathlib import Path

MODULE = """
import polars as pl

from features.contract import Feature, FeatureSet
from features.exact import ratio

FEATURE_SET = FeatureSet("orders", 1, (Feature("orders_7d", pl.Int64(), "orders in the 7 days before"),))
KEY = ("customer",)


def build_features(tables, cutoffs, only=None):
    return tables


def labels(tables, cutoffs):
    return ratio
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "features").mkdir()
    return Project(tmp_path)


def write(project: Project, **modules: str) -> None:
    for name, text in modules.items():
        (project.features / f"{name}.py").write_text(text, encoding="utf-8")


def test_a_module_that_is_called_like_one_of_ours_shadows_nothing(project: Project) -> None:
    """Not even where `features/` of the project says it is a package."""
    write(project, exact=MODULE, __init__="WHO = 'theirs'\n", clock="raise RuntimeError('nobody asked for this')\n")
    found = load_features(project, "exact")

    assert found.labels(None, None) is engines.ratio
    assert found.__file__ == str(project.features / "exact.py")
    assert sys.modules["features.exact"] is engines
    assert load_features(OURS, "flight_delay").__name__ == "features.flight_delay"


def test_modules_of_a_project_see_each_other_by_relative_imports(project: Project) -> None:
    (project.features / "windows").mkdir()
    (project.features / "windows" / "long.py").write_text("from ..shared import DAYS\n\nLONG = 4 * DAYS\n")
    write(project, shared="DAYS = 7\n", orders=f"from . import shared\nfrom .windows.long import LONG\n{MODULE}")
    found = load_features(project, "orders")

    assert (found.shared.DAYS, found.LONG) == (7, 28)


def test_two_projects_in_one_process_do_not_meet(tmp_path: Path) -> None:
    both = []
    for name in ("one", "two"):
        (tmp_path / name / "features").mkdir(parents=True)
        both.append(Project(tmp_path / name))
        write(both[-1], shared=f"NAME = {name!r}\n", orders=f"from .shared import NAME\n{MODULE}")

    assert [load_features(each, "orders").NAME for each in both] == ["one", "two"]


def test_no_cache_stands_for_the_source(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache is told by second and size; a module is read from none, and leaves none."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    write(project, orders=f"{MODULE}DAYS = 7\n", other=MODULE)
    path = project.features / "orders.py"
    py_compile.compile(str(path))
    second = path.stat().st_mtime
    write(project, orders=f"{MODULE}DAYS = 8\n")
    os.utime(path, (second, second))

    assert load_features(project, "orders").DAYS == 8
    load_features(project, "other")
    assert list(project.features.rglob("other*")) == [project.features / "other.py"]


def test_a_module_that_is_not_there_is_nothing(project: Project) -> None:
    write(project, orders=MODULE)

    assert load_features(project, "exact") is None
    assert load_features(OURS, "no_such_module") is None


REFUSED = (
    ("x = (\n", r"orders\.py:1: SyntaxError: '\(' was never closed"),
    ("\nx = undefined\n", r"orders\.py:2: NameError: name 'undefined'"),
    ("import features.shared\n", r"orders\.py:1: ModuleNotFoundError: .*as: from \. import NAME"),
    ("from . import nobody\n", r"orders\.py:1: ImportError: cannot import name 'nobody'"),
    ("from .nobody import x\n", r"orders\.py:1: ModuleNotFoundError: there is no nobody in features/"),
    ("from .broken import x\n", r"broken\.py:3: ValueError: broken"),
    ('\n\nrows = open("rows.csv").read()\n', r"orders\.py:3: open\(\): frames in, frames out"),
    ('import polars as pl\n\nx = pl.read_csv("rows.csv")\n', r"orders\.py:3: \.read_csv\(\): "),
    ("from .reading import x\n", r"reading\.py:1: import socket: "),
    ("from os import environ\n", r"orders\.py:1: import os: "),
    (MODULE.replace("KEY =", "KEYS ="), r"orders\.py:1: it has no KEY; a feature module offers FEATURE_SET, KEY, "),
    (
        MODULE.replace("def labels", "def label").replace("FEATURE_SET =", "SET ="),
        "it has no FEATURE_SET and no labels",
    ),
    (MODULE.replace('("customer",)', '"customer"'), "KEY must be a tuple of texts"),
    (
        MODULE.replace('FEATURE_SET = FeatureSet("orders", 1,', "FEATURE_SET = (1,"),
        "FEATURE_SET must be a features.cont",
    ),
    (MODULE.replace("(Feature(", "2 * (Feature("), r"orders\.py:7: FeatureSetRefused: .* declares orders_7d twice"),
)


@pytest.mark.parametrize(("text", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_what_is_no_feature_module_is_refused_with_file_and_line(project: Project, text: str, said: str) -> None:
    write(project, orders=text, broken="\n\nraise ValueError('broken')\n", reading="import socket\nx = 1\n")

    with pytest.raises(ModuleRefused, match=said) as refused:
        load_features(project, "orders")
    assert str(project.features) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_reaches_out_is_refused_before_it_runs(project: Project) -> None:
    left = project.features / "left"
    write(project, orders=f"from pathlib import Path\n\nPath({str(left)!r}).touch()\n{MODULE}")

    with pytest.raises(ModuleRefused, match=r"orders\.py:1: import pathlib"):
        load_features(project, "orders")
    assert not left.exists()


def test_a_package_that_cannot_be_imported_is_refused_every_time(project: Project) -> None:
    """Half of a package must not be left behind for the second time."""
    write(project, __init__="raise ValueError('broken')\n", orders=MODULE)

    for _ in range(2):
        with pytest.raises(ModuleRefused, match=r"__init__\.py:1: ValueError: broken"):
            load_features(project, "orders")
