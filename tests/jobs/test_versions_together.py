"""Versions living together: the worked example of docs/versions.md, followed to the letter in a copy of the tree."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/versions.md").read_text(encoding="utf-8")
ROOMS = ("features", "jobs", "models", "sql")
TOML = "jobs/flight_delay.toml"
BLOCK = re.compile(r"(?:^`(?P<file>[\w/.]+)`[^\n]*\n\n)?```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Place:
    """A copy of the source tree, the program that runs from it, and the names that the page gives to ids."""

    tree: Path
    environ: dict[str, str]
    names: dict[str, str]

    def score(self, line: str) -> subprocess.CompletedProcess[str]:
        """What a line of the page gives, without the name of the program."""
        words = [self.names.get(word.removeprefix("$"), word) for word in shlex.split(line)]
        return subprocess.run(
            [sys.executable, "-m", "jobs", *words],
            cwd=self.tree,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )

    def json(self, line: str) -> dict:
        """The document that a command prints."""
        done = self.score(f"{line} --json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def follow(self, heading: str) -> list[subprocess.CompletedProcess[str]]:
        """Write the files of one section of the page, run its commands; what each gave."""
        section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
        done = []
        for block in BLOCK.finditer(section):
            if block["kind"] == "console":
                lines = [line.removeprefix("$ score ") for line in block["text"].splitlines()]
                for line in lines:
                    done.append(self.score(line))
                    self.look()
            elif block["kind"] == "toml":
                self.change(block["text"])
            else:
                (self.tree / block["file"]).write_text(block["text"], encoding="utf-8")
        return done

    def change(self, text: str) -> None:
        """Put the entries of a block in the place of the job's own, or, under a table that is there, beside them."""
        path = self.tree / TOML
        old = path.read_text(encoding="utf-8")
        features, _, tables = text.partition("\n\n")
        if features.startswith("[columns."):
            header, _, line = features.partition("\n")
            new = old.replace(f"{header}\n", f"{header}\n{line}\n")
        else:
            new = re.sub(r'^features = "flight_delay"$', features, old, flags=re.MULTILINE)
            new = re.sub(r"^\[sql\].*?(?=^# What is expected)", f"{tables}\n", new, flags=re.MULTILINE | re.DOTALL)
        assert new != old
        path.write_text(new, encoding="utf-8")

    def look(self) -> None:
        """Learn the ids that the page calls V1, V2, ... in the order of training, and RUN1, RUN2 of the 13th."""
        for model in json.loads(self.score("models --json").stdout)["models"]:
            if model["model_version"] not in self.names.values():
                self.names[f"V{1 + sum(name.startswith('V') for name in self.names)}"] = model["model_version"]
        for run in json.loads(self.score("runs --as-of 2013-04-13 --json").stdout)["runs"]:
            number = next(name[1:] for name, id_ in self.names.items() if id_ == run["model_version"])
            self.names[f"RUN{number}"] = run["run_id"]


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory, small_warehouse: Path) -> dict[str, object]:
    """The place after the whole page, with what each section's commands gave."""
    folder = tmp_path_factory.mktemp("versions")
    for room in ROOMS:
        shutil.copytree(ROOT / room, folder / "tree" / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "uv.lock", folder / "tree")
    model = folder / "tree/models/flight_delay.toml"
    model.write_text(model.read_text("utf-8").replace("rounds = 200", "rounds = 20"), "utf-8")
    shutil.copy(small_warehouse, folder / "warehouse.duckdb")
    own = {"SCORE_HOME": str(folder / "home"), "SCORE_WAREHOUSE": f"duckdb:///{folder / 'warehouse.duckdb'}"}
    place = Place(folder / "tree", {**os.environ, **own, "PYTHONPATH": str(folder / "tree")}, {})
    sections = [line.removeprefix("## ") for line in PAGE.splitlines() if line.startswith("## ")]
    return {"place": place, **{heading: place.follow(heading) for heading in sections[:-1]}}


def of(followed: dict[str, object], heading: str) -> list[subprocess.CompletedProcess[str]]:
    done = followed[heading]
    assert isinstance(done, list)
    return done


@pytest.fixture(scope="module")
def place(followed: dict[str, object]) -> Place:
    found = followed["place"]
    assert isinstance(found, Place)
    return found


def test_every_command_of_the_page_succeeds(followed: dict[str, object]) -> None:
    """Champion and challenger of two editions, a backfill of each, proofs, promotion, verification, rollback."""
    failed = [
        f"{' '.join(done.args[3:])}: {done.stderr.strip()}"
        for heading, section in followed.items()
        if heading != "place"
        for done in section  # type: ignore[attr-defined]
        if done.returncode
    ]

    assert failed == []


def test_each_night_is_scored_in_the_edition_of_its_champion(place: Place) -> None:
    """The champion of version 1 goes on beside the challenger of version 2, and comes back after the rollback."""
    shown = {run["as_of"]: run["model_version"] for run in place.json("runs")["runs"] if run["current"]}
    v1, v2 = place.names["V1"], place.names["V2"]

    assert shown == {
        "2013-04-11": v1, "2013-04-12": v1, "2013-04-13": v1, "2013-04-14": v2, "2013-04-15": v1,
    }  # fmt: skip


def test_a_night_of_version_1_that_is_looked_at_again_after_the_promotion_is_the_same_run(place: Place) -> None:
    """The warehouse has changed nothing: the same SQL finds the same rows, the same features, the same scores."""
    assert [run["model_version"] for run in place.json("runs --as-of 2013-04-12")["runs"]] == [place.names["V1"]]
    assert place.json("backfill --as-of 2013-04-12 --restate")["runs"][0]["status"] == "already_published"


def test_both_editions_score_one_night_from_snapshots_of_their_own(place: Place) -> None:
    """The two runs of 13 April have other digests of the snapshot, because another SQL took one of the tables."""
    runs = {run["model_version"]: run for run in place.json("runs --as-of 2013-04-13")["runs"]}
    one, two = (runs[place.names[version]] for version in ("V1", "V2"))

    assert one["snapshot_digest"] != two["snapshot_digest"]
    assert (one["current"], two["current"]) == (True, False)
    assert one["row_count"] == two["row_count"]


def test_training_like_an_earlier_version_takes_its_edition(place: Place) -> None:
    """The model of version 1 is trained again from the snapshot that is kept: the same inputs, the same version."""
    again = place.json(f"train --as-of 2013-04-10 --like {place.names['V1']}")

    assert again["model_version"] == place.names["V1"]


def test_a_model_whose_edition_was_taken_out_is_refused_by_name_before_anything_is_read(place: Place) -> None:
    path = place.tree / TOML
    whole = path.read_text("utf-8")
    path.write_text(
        re.sub(r"^\[\[earlier\]\].*?(?=^# What is expected)", "", whole, flags=re.MULTILINE | re.DOTALL), "utf-8"
    )
    try:
        done = place.score("backfill --as-of 2013-04-12")
        replayed = place.score("verify --all --json")
    finally:
        path.write_text(whole, "utf-8")

    assert done.returncode == 66
    assert f"model {place.names['V1']} was trained with flight_delay version 1" in done.stderr
    assert {run["first_divergence"] for run in json.loads(replayed.stdout)["runs"]} == {None, "golden_rows"}
