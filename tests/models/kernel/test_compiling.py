"""What is kept compiled: sealed, shared, and never needed."""

import resource
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba
import pytest

from models.kernel import compiling
from models.kernel.compiling import _SealedFiles, can_keep, compiled

SIGNATURE = "float64(float64)"


def one_more(x: float) -> float:
    """What is compiled here: small, so that it takes no time."""
    return x + 1.0


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where numba keeps what it compiles, as `NUMBA_CACHE_DIR` says it."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "kept"))
    return tmp_path / "kept"


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file can grow: numba's look at the folder passes, and every write fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def hits(made: Any) -> int:  # noqa: ANN401 - numba has no types
    assert made(1.5) == 2.5
    return sum(made.stats.cache_hits.values())


def only_file(place: Path) -> Path:
    (found,) = [path for path in place.rglob("*") if path.is_file()]
    return found


def test_what_was_compiled_is_loaded_the_next_time(place: Path) -> None:
    assert hits(compiled(SIGNATURE)(one_more)) == 0
    assert only_file(place).suffix == ".sealed"
    assert hits(compiled(SIGNATURE)(one_more)) == 1


@pytest.mark.parametrize("at", [0, 31, 32, 100, 2000, -1])
def test_what_is_damaged_is_compiled_again(place: Path, at: int) -> None:
    """One bit anywhere: in the seal, in the bytes that pickle would run, in the machine code."""
    compiled(SIGNATURE)(one_more)
    file = only_file(place)
    damaged = bytearray(file.read_bytes())
    damaged[at] ^= 4
    file.write_bytes(damaged)

    assert hits(compiled(SIGNATURE)(one_more)) == 0
    assert hits(compiled(SIGNATURE)(one_more)) == 1


@pytest.mark.parametrize("left", [0, 1, 32, 500])
def test_what_is_cut_short_is_compiled_again(place: Path, left: int) -> None:
    compiled(SIGNATURE)(one_more)
    file = only_file(place)
    file.write_bytes(file.read_bytes()[:left])

    assert hits(compiled(SIGNATURE)(one_more)) == 0


def test_what_was_compiled_from_another_source_is_not_loaded(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the times of the files are."""
    compiled(SIGNATURE)(one_more)
    monkeypatch.setattr(compiling, "_source", lambda: b"another source, numba or numpy")

    assert hits(compiled(SIGNATURE)(one_more)) == 0
    assert only_file(place)  # written over, not beside


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_keeps_nothing_and_fails_nothing(place: Path) -> None:
    assert hits(compiled(SIGNATURE)(one_more)) == 0
    assert not [path for path in place.rglob("*") if path.is_file()]


def test_where_no_folder_can_be_written_nothing_is_kept_and_nothing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a read-only installation, for a user without a home."""
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(numba.config, "CACHE_LOCATOR_CLASSES", "UserProvidedCacheLocator")
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "file" / "below"))

    assert not can_keep()
    assert hits(compiled(SIGNATURE)(one_more)) == 0


def test_many_at_once_leave_a_whole_file(tmp_path: Path) -> None:
    """Whoever reads while others write finds one of what they wrote, or nothing yet."""
    files = [_SealedFiles(str(tmp_path), "f", b"source") for _ in range(4)]  # type: ignore[no-untyped-call]
    contents = [bytes([place]) * 300_000 for place in range(4)]
    found: list[object] = []

    def write(place: int) -> None:
        for _ in range(30):
            files[place].save("key", contents[place])

    writers = [threading.Thread(target=write, args=(place,)) for place in range(4)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        found.append(files[0].load("key"))
    assert all(one is None or one in contents for one in found)
    assert files[0].load("key") in contents
    assert len(list(tmp_path.iterdir())) == 1
