"""Reading every stored byte: whatever is damaged or missing is found and named, and nothing else is."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from jobs.evidence.inspecting import inspect_store
from jobs.store.home import Home
from tests.jobs.evidence.tampering import flip, forge_version, one_ulp_more

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import World

NOT_EVIDENCE = ("locks", "scores.duckdb")


def evidence(world: World) -> list[Path]:
    """Every stored file but what is built anew, and locks."""
    files = (path for path in sorted(world.home.rglob("*")) if path.is_file())
    return [path for path in files if path.relative_to(world.home).parts[0] not in NOT_EVIDENCE]


def found(world: World) -> list[tuple[int, str]]:
    return [(failure.code, failure.message) for failure in inspect_store(Home(world.home))]


def test_a_flipped_bit_in_any_document_or_file_of_a_home_is_found(world: World) -> None:
    """Each in turn, but for the objects; a file without which no other can be judged ends the search with its name."""
    files = [path for path in evidence(world) if path.parent.parent.name != "objects"]
    assert {path.name for path in files} == {
        "format.json", "manifest.json", "taken.json", "marks.json", "model.txt", "uv.lock", "trained.json",
        "golden_rows.parquet",
        "golden_night.json", "execution.json", "scores.parquet", "features.parquet", "00000001.json", "00000002.json",
    }  # fmt: skip
    assert found(world) == []
    for damaged in files:
        if damaged.name == "format.json":
            continue
        flip(damaged)
        assert [code for code, message in found(world) if str(damaged) in message] == [80], damaged
        flip(damaged)
    assert found(world) == []


def test_a_flipped_bit_in_every_object_is_found_at_once(world: World) -> None:
    objects = sorted(world.home.glob("objects/*/*.parquet"))
    for path in objects:
        flip(path)

    told = found(world)

    assert {code for code, _ in told} == {80}
    assert len(told) == len(objects) > 500
    assert all(any(str(path) in message for _, message in told) for path in objects)


def test_a_damaged_format_is_named_before_anything_is_read(world: World) -> None:
    flip(world.home / "format.json")

    result = world.run("verify", "--all")
    assert result.code == 80
    assert str(world.home / "format.json") in result.err


@pytest.mark.parametrize(
    "pattern",
    [
        "runs/*/*/*", "models/*/*", "models/*/*/golden_rows.parquet", "models/*/*/golden_night.json",
        "models/*/*/uv.lock", "models/*/*/model.txt", "models/*/*/trained.json", "snapshots/*/*/*/taken.json",
        "snapshots/*/*/*/manifest.json", "runs/*/*/*/execution.json", "runs/*/*/*/features.parquet", "objects",
    ],
)  # fmt: skip
def test_what_is_missing_is_damage(world: World, pattern: str) -> None:
    """A whole run or model that the events name, a file, every object: 80, and what is missing."""
    gone = min(world.home.glob(pattern))
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()

    result = world.run("verify", "--all", "--json")
    assert result.code == 80
    assert any(gone.name in each for each in result.json["damaged"])
    assert "Traceback" not in result.err


def test_a_model_that_a_promotion_names_and_that_is_gone_is_damage(world: World) -> None:
    """80 and not 66: nobody asked for it, the events say that it was there."""
    gone = forge_version(world.home, one_ulp_more)
    assert world.run("promote", gone.version, "--unproven", "--reason", "as good").code == 0
    shutil.rmtree(world.home / "models" / "flight_delay" / gone.version)

    assert [(code, gone.version in message) for code, message in found(world)] == [(80, True)]


def test_all_that_is_damaged_is_told_and_not_only_the_first(world: World) -> None:
    damaged = [min(world.home.glob(f"{kind}/**/manifest.json")) for kind in ("runs", "snapshots", "models")]
    for path in damaged:
        flip(path)

    result = world.run("verify", "--read-data", "--json")
    assert result.code == 80
    assert [sum(str(path) in each for each in result.json["damaged"]) for path in damaged] == [1, 1, 1]


def test_an_object_that_no_manifest_names_is_read_too(world: World) -> None:
    """The next snapshot may take it for its own; a kill leaves such objects, and whole ones are no damage."""
    [manifest] = world.home.glob("snapshots/*/2013-04-10/*/manifest.json")
    [golden] = world.home.glob("models/*/*/golden_night.json")
    shutil.rmtree(manifest.parent)
    named = golden.read_text()
    orphan = next(path for path in sorted(world.home.glob("objects/*/*.parquet")) if path.stem not in named)
    assert found(world) == []

    flip(orphan, orphan.stat().st_size // 3)
    assert [code for code, message in found(world) if str(orphan) in message] == [80]


def test_a_home_of_a_job_that_is_gone_is_read_too(world: World) -> None:
    """Evidence outlives code."""
    for kind in ("runs", "models", "snapshots", "events"):
        (world.home / kind / "flight_delay").rename(world.home / kind / "another_job")

    told = found(world)
    assert any("00000001.json does not follow" in message for _, message in told)
    assert any("is of another run" in message for _, message in told)


def test_what_belongs_to_nothing_is_no_damage(world: World) -> None:
    """Notes, folders and half-names beside the evidence."""
    for place in ("", "objects", "objects/00", "models", "runs", "snapshots", "events"):
        for folder in (world.home / place, *(world.home / place).glob("*/"), *(world.home / place).glob("*/*/")):
            folder.mkdir(exist_ok=True)
            (folder / "notes.txt").write_text("mine")
            (folder / "lost+found").mkdir(exist_ok=True)
            (folder / "aaaa-bb-cc" / ("0" * 64)).mkdir(parents=True, exist_ok=True)
    (world.home / "objects" / "00" / "half.parquet").write_bytes(b"")

    for command in (["verify", "--all"], ["runs"], ["models"], ["snapshots"], ["run", "--as-of", "2013-04-13"]):
        assert world.run(*command).code == 0, command


def test_reading_every_file_needs_no_run(world: World) -> None:
    """A home with a model and snapshots, and nothing published yet."""
    for kind in ("runs", "events"):
        shutil.rmtree(world.home / kind)
    (world.home / "scores.duckdb").unlink()
    assert world.run("verify").code == 66
    assert world.run("verify", "--read-data").code == 0
    flip(min(world.home.glob("models/*/*/golden_rows.parquet")))

    assert world.run("verify", "--read-data").code == 80


HALVES = {
    "the manifest": "snapshots/*/2013-04-12/*/manifest.json",
    "the record of when it was taken": "snapshots/*/2013-04-12/*/taken.json",
    "an object": "objects",
    "all of its files": "snapshots/*/2013-04-12/*/*.json",
}
COMMANDS = {
    ("verify",): 80,
    ("verify", "--all"): 80,
    ("snapshots",): 80,
    ("show", "RUN"): 0,
    ("show", "SNAPSHOT"): 80,
    ("run", "--as-of", "2013-04-13"): 80,
    ("backfill", "--as-of", "2013-04-12"): 80,
    ("sql", "--snapshot", "SNAPSHOT", "SELECT 1"): 80,
}
WHOLE_ENOUGH = {
    ("snapshots", "an object"),  # which are not opened to be listed
    ("show SNAPSHOT", "an object"),
    ("backfill --as-of 2013-04-12", "the record of when it was taken"),  # the run names it by its digest
}


@pytest.mark.parametrize("half", HALVES)
def test_a_snapshot_that_is_half_deleted_is_one_line_and_the_right_code(
    world: World, run_folder: Path, half: str
) -> None:
    """Never a trace, never "a bug": 80 wherever what is gone is needed."""
    [snapshot] = world.home.glob("snapshots/*/2013-04-12/*")
    names = {"RUN": run_folder.name, "SNAPSHOT": snapshot.name[:12]}
    if half == "an object":
        shutil.rmtree(world.home / "objects")
    else:
        for path in world.home.glob(HALVES[half]):
            path.unlink()
    for command, code in COMMANDS.items():
        result = world.run(*(names.get(word, word) for word in command))
        whole = (" ".join(command), half) in WHOLE_ENOUGH
        assert result.code == (0 if whole else code), (command, result.err)
        assert "a bug" not in result.err
        if result.code and command[0] != "verify":
            assert len(result.err.splitlines()) == 1, result.err


def test_a_snapshot_that_is_gone_is_missing(world: World) -> None:
    """66 where it is asked for, 80 where a run is replayed; the next night is taken and scored."""
    [snapshot] = world.home.glob("snapshots/*/2013-04-12/*")
    shutil.rmtree(snapshot)

    assert world.run("show", snapshot.name[:12]).code == 66
    assert world.run("backfill", "--as-of", "2013-04-12").code == 66
    assert world.run("verify").code == 80
    assert world.run("snapshots").code == 0
    assert world.run("run", "--as-of", "2013-04-13").code == 0
