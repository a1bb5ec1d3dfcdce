"""Every known failure has the exit code that the on-call table gives it; everything else is a bug."""

from __future__ import annotations

import errno
import inspect
import pkgutil
from importlib import import_module

import duckdb
import pytest

from jobs.exits import CODES, FAILURES, Failure, failure_of, known_failures
from jobs.store.locks import Busy

# The table of exit codes, as whoever is on call has it.
TABLE = {
    0: "ok", 2: "usage", 3: "incomplete", 65: "data", 66: "input", 69: "unavailable", 70: "bug", 74: "io", 75: "busy",
    77: "permission", 78: "config", 80: "integrity", 81: "differs", 130: "signal", 143: "signal",
}  # fmt: skip

# Exception classes without a code: whoever meets one has met a bug of the code, and wants its traceback.
BUGS = {
    "models.library.LibraryFailed": "the model's digest and the rows' types were checked before",
    "models.training.NotSorted": "training rows come from build_features, in key order",
    "models.kernel.trees._Unknown": "it never leaves its module: LightGBM scores that model",
}


def classes() -> dict[str, type[Exception]]:
    """Every exception class that is defined in a room."""
    found: dict[str, type[Exception]] = {}
    for room in ("jobs", "features", "models"):
        package = import_module(room)
        for module in pkgutil.walk_packages(package.__path__, f"{room}."):
            loaded = import_module(module.name)
            for name, kind in inspect.getmembers(loaded, inspect.isclass):
                if issubclass(kind, Exception) and kind.__module__ == module.name:
                    found[f"{module.name}.{name}"] = kind
    return found


def test_the_codes_are_those_of_the_table() -> None:
    assert dict(CODES) == TABLE
    assert set(FAILURES.values()) <= set(TABLE)


@pytest.mark.parametrize("name", sorted(FAILURES))
def test_every_class_of_the_table_is_there_and_has_its_code(name: str) -> None:
    module, _, kind = name.rpartition(".")
    found = getattr(import_module(module), kind)

    assert issubclass(found, Exception)
    assert found in known_failures()
    assert failure_of(found.__new__(found)) is not None


def test_every_exception_class_has_a_code_or_a_reason_to_have_none() -> None:
    without = {
        name
        for name, kind in classes().items()
        if not any(f"{k.__module__}.{k.__qualname__}" in FAILURES for k in kind.__mro__)
    }

    assert without == set(BUGS)


def test_the_table_names_classes_where_they_are_defined() -> None:
    assert set(FAILURES) <= set(classes())


def test_a_failure_is_one_line_with_its_name() -> None:
    assert failure_of(Busy("two\n  lines\tand a tab")) == Failure(75, "two lines and a tab")
    assert Failure(75, "").name == "busy"


def test_a_subclass_has_its_own_code_or_its_parent_s() -> None:
    class Busier(Busy):
        """Of no table."""

    assert failure_of(Busier("x")) == Failure(75, "x")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/srv/x"), 74),
        (duckdb.FatalException("FATAL Error: Failed to write: No space left on device"), 74),
        (duckdb.TransactionException("TransactionContext Error: Failed to commit: Could not write file"), 74),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), 74),
        (OSError(errno.EIO, "Input/output error"), 74),
        (OSError(errno.EROFS, "Read-only file system", "/srv/x"), 74),
        (PermissionError(errno.EACCES, "Permission denied", "/srv/x"), 77),
        (PermissionError(errno.EPERM, "Operation not permitted"), 77),
        (duckdb.IOException("IO Error: No space left on device\nmore"), 74),
        (duckdb.OutOfMemoryException("Out of Memory Error: x"), 74),
    ],
    ids=repr,
)
def test_what_the_machine_refuses_is_no_bug(error: Exception, code: int) -> None:
    failure = failure_of(error)

    assert failure is not None
    assert failure.code == code
    assert "\n" not in failure.message
    assert "None" not in failure.message
    assert isinstance(error, known_failures())


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        KeyError("x"),
        AssertionError(),
        OSError("x"),
        duckdb.InternalException("x"),
        FileNotFoundError(2, "x"),
    ],
    ids=repr,
)
def test_everything_else_is_a_bug_and_keeps_its_traceback(error: Exception) -> None:
    assert failure_of(error) is None
