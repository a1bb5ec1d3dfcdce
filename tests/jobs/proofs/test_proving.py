"""`score prove` on real flights, what it leaves on record, and what a promotion asks of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from jobs.proofs.proofs import PROOFS

if TYPE_CHECKING:
    from tests.conftest import World

NIGHT = "2013-04-12"
NAMES = [proof.name for proof in PROOFS]


@pytest.fixture
def challenger(world: World) -> str:
    """A second model version."""
    return world.run("train", "flight_delay", "--as-of", "2013-04-14", "--json").json["model_version"]


def test_every_proof_holds_for_a_challenger_and_then_it_may_be_promoted(world: World, challenger: str) -> None:
    """All proofs, one event, one document; nothing else is left behind."""
    before = {path for path in world.home.rglob("*") if path.is_file()}
    done = world.run("prove", "--as-of", "2013-04-15", "--model", challenger, "--json")

    assert (done.code, done.err) == (0, "")
    assert [(proof["name"], proof["held"]) for proof in done.json["proofs"]] == [(name, True) for name in NAMES]
    new = {path.relative_to(world.home).parts[0] for path in world.home.rglob("*") if path.is_file()} - {
        path.relative_to(world.home).parts[0] for path in before
    }
    assert new == {"proofs"}
    kept = json.loads(next((world.home / "proofs").rglob("*.json")).read_text())["body"]
    assert [finding["held"] for finding in kept["findings"]] == [True] * len(NAMES)
    assert kept["environment"]["polars"]

    promoted = world.run("promote", challenger, "--reason", "proven", "--json")
    assert (promoted.code, promoted.json["unproven"]) == (0, False)
    listed = {model["model_version"]: model["proofs"] for model in world.run("models", "--json").json["models"]}
    assert listed[challenger] == f"{len(NAMES)} proofs held as of 2013-04-15"


def test_a_challenger_is_not_promoted_before_its_proofs_held(world: World, challenger: str) -> None:
    """The flag that does without stands in the event; going back to the champion before needs neither."""
    refused = world.run("promote", challenger, "--reason", "hurry")
    assert refused.code == 81
    assert f"{challenger} was never put to proof" in refused.err
    assert "score prove flight_delay --as-of 2013-04-14 --model" in refused.err

    forced = world.run("promote", challenger, "--unproven", "--reason", "hurry")
    assert (forced.code, forced.out.count("unproven, which stays on record")) == (0, 1)
    event = json.loads(max((world.home / "events" / "flight_delay").iterdir()).read_text())
    assert event["body"]["unproven"] is True
    assert world.run("rollback", "--reason", "regret").code == 0
    assert world.run("promote", challenger, "--reason", "once more").code == 81


def test_a_challenger_whose_proof_broke_is_not_promoted(
    world: World, challenger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One proof is enough; here golden rows that were damaged, and only two proofs to save time."""
    monkeypatch.setattr("jobs.proofs.proving.PROOFS", PROOFS[:2])
    golden = world.home / "models" / "flight_delay" / challenger / "golden_rows.parquet"
    content = bytearray(golden.read_bytes())
    content[len(content) // 2] ^= 1
    golden.write_bytes(content)

    broken = world.run("prove", "--as-of", NIGHT, "--model", challenger)
    assert broken.code == 81
    assert broken.err == "score: 1 of 2 proofs did not hold: golden\n"
    assert "golden_rows.parquet is not what was written" in " ".join(broken.out.split())

    refused = world.run("promote", challenger, "--reason", "hurry")
    assert refused.code == 81
    assert f"the proofs of {challenger} did not hold: golden as of {NIGHT}" in refused.err


def test_some_proofs_alone_are_not_recorded(world: World, challenger: str) -> None:
    done = world.run(
        "prove", "--as-of", NIGHT, "--model", challenger, "--only", "batches", "--only", "purity", "--json"
    )

    assert [proof["name"] for proof in done.json["proofs"]] == ["purity", "batches"]
    assert done.json["recorded"] is False
    assert world.run("promote", challenger, "--reason", "hurry").code == 81


def test_rows_that_were_rewritten_since_the_night_are_listed_and_are_no_failure(world: World) -> None:
    """The night's own snapshot was kept; then an observation of the day before was overwritten in place."""
    assert world.run("run", "--as-of", NIGHT).code == 0
    world.sql("UPDATE weather SET temp_f = temp_f + 1 WHERE observed_at = TIMESTAMPTZ '2013-04-11 12:00:00+00'")

    done = world.run("prove", "--as-of", NIGHT, "--only", "parity", "--json")

    assert done.code == 0
    assert "rewritten since that night: 3 weather changed" in done.json["proofs"][0]["detail"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--as-of", NIGHT, "--only", "phase_of_the_moon"], 2, "there are golden, purity, row_order"),
        (["--as-of", "2999-01-01"], 2, "has not begun yet"),
        (["--as-of", NIGHT, "--model", "2013-01-01-000000000000"], 66, "no model version"),
        (["--as-of", "2013-04-01"], 66, "no champion as of 2013-04-01"),
        (["--as-of", "2013-05-20"], 65, "nothing to score|returned no rows"),
    ],
)
def test_what_cannot_be_proven_is_one_line_and_its_code(
    world: World, arguments: list[str], code: int, said: str
) -> None:
    done = world.run("prove", *arguments)

    assert (done.code, done.out, done.err.count("\n")) == (code, "", 1)
    assert any(part in done.err for part in said.split("|"))


def test_without_a_warehouse_nothing_is_proven(world: World) -> None:
    world.warehouse.unlink()

    done = world.run("prove", "--as-of", NIGHT)

    assert (done.code, done.err.count("there is no warehouse")) == (66, 1)


def test_what_proofs_found_is_evidence_too(world: World, challenger: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is shown with the model, and a changed byte of it, or its absence, is found."""
    monkeypatch.setattr("jobs.proofs.proving.PROOFS", PROOFS[:2])
    assert world.run("run", "--as-of", NIGHT).code == 0
    assert world.run("prove", "--as-of", "2013-04-15", "--model", challenger).code == 0
    assert [each["name"] for each in world.run("show", challenger, "--json").json["proofs"]["findings"]] == NAMES[:2]
    assert "purity" in world.run("show", challenger).out
    record = next((world.home / "proofs" / "flight_delay").iterdir())
    content = record.read_bytes()
    assert world.run("verify", "--read-data").code == 0

    record.write_bytes(content.replace(b"purity", b"parity"))
    damaged = world.run("verify", "--read-data")
    assert (damaged.code, damaged.err.count(record.name)) == (80, 1)

    record.unlink()
    assert world.run("verify", "--read-data").code == 80
    assert world.run("show", challenger).code == 80
