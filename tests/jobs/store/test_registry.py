"""Model versions: written once, checked before anybody parses them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pytest

from jobs.store.documents import write_document
from jobs.store.home import NameRefused, staging
from jobs.store.objects import ObjectDamaged, ObjectMissing
from jobs.store.registry import (
    Golden,
    MemberFile,
    ModelMissing,
    ModelOfAnotherJob,
    ModelVersion,
    keep_version,
    read_model_texts,
    read_version,
    seal_of_text,
    version_names,
)

if TYPE_CHECKING:
    from pathlib import Path

    from jobs.store.home import Home

TEXT = "tree\nünlike\n"
LOCK = b"version = 1\n"
VERSION = ModelVersion(
    job="flight_delay",
    as_of=date(2013, 9, 1),
    features=(("month", "Int8"),),
    feature_set="flight_delay",
    feature_fingerprint="f" * 64,
    sql_fingerprints={"outcomes": "1" * 64},
    snapshot_digest="5" * 64,
    fitted="{}",
    parameters={"rounds": 3, "learning_rate": 0.1},
    model_seal=seal_of_text(TEXT),
    lock_sha256=hashlib.sha256(LOCK).hexdigest(),
    environment={"python": "3.12"},
    training={"rows": 9},
    metrics={"auc": 0.7},
    golden=Golden(9, seal_of_text("rows"), date(2013, 8, 30), "6" * 64, "7" * 64, (("month", "int8", "8" * 64),)),
)


def keep(home: Home, version: ModelVersion = VERSION, at: str = "first", texts: tuple[str, ...] = (TEXT,)) -> Path:
    with staging(home) as staged:
        folder = staged / "model"
        folder.mkdir()
        keep_version(home, folder, version, texts, LOCK, {"at": at})
    return home.models(version.job) / version.version


def test_a_version_reads_back_as_it_was_kept(home: Home) -> None:
    folder = keep(home)

    assert read_version(home, "flight_delay", VERSION.version) == VERSION
    assert read_model_texts(home, VERSION) == (TEXT,)
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "model.txt", "trained.json", "uv.lock"]
    assert (folder / "uv.lock").read_bytes() == LOCK


def test_its_name_is_its_as_of_and_the_digest_of_its_manifest() -> None:
    assert VERSION.version.startswith("2013-09-01-")
    assert len(VERSION.version) == 23
    assert replace(VERSION, sql_fingerprints=dict(VERSION.sql_fingerprints)).version == VERSION.version
    others = {
        replace(VERSION, metrics={"auc": 0.8}).version,
        replace(VERSION, lock_sha256="0" * 64).version,
        replace(VERSION, model_seal=seal_of_text(TEXT + " ")).version,
        replace(VERSION, features=(("month", "Int16"),)).version,
        replace(VERSION, job="other").version,
        replace(VERSION, golden=replace(VERSION.golden, night_snapshot="9" * 64)).version,
    }
    assert len(others | {VERSION.version}) == 7


def test_the_same_training_twice_is_one_version_as_first_written(home: Home) -> None:
    folder = keep(home)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    keep(home, at="second")

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert version_names(home, "flight_delay") == (VERSION.version,)


def test_a_missing_version_says_what_there_is(home: Home) -> None:
    with pytest.raises(ModelMissing, match="there is none"):
        read_version(home, "flight_delay", "2013-01-01-000000000000")
    keep(home)
    with pytest.raises(ModelMissing, match=rf"there is {VERSION.version}"):
        read_version(home, "flight_delay", "2013-01-01-000000000000")
    with pytest.raises(NameRefused):
        read_version(home, "flight_delay", "../../events/flight_delay")


def test_a_version_without_golden_rows_cannot_be_used(home: Home) -> None:
    """It was kept before versions carried them."""
    body = {name: value for name, value in VERSION.to_json().items() if name != "golden"}
    folder = home.models("flight_delay") / "2013-09-01-000000000000"
    write_document(folder / "manifest.json", "model version", body)

    with pytest.raises(ModelMissing, match="before models carried golden rows; train it again"):
        read_version(home, "flight_delay", folder.name)


def test_a_version_under_another_name_or_job_is_refused(home: Home) -> None:
    folder = keep(home)
    folder.rename(folder.with_name("2013-09-01-000000000000"))
    with pytest.raises(ModelOfAnotherJob, match=VERSION.version):
        read_version(home, "flight_delay", "2013-09-01-000000000000")

    folder.with_name("2013-09-01-000000000000").rename(folder)
    home.models("flight_delay").rename(home.models("other"))
    with pytest.raises(ModelOfAnotherJob, match="is of flight_delay"):
        read_version(home, "other", VERSION.version)


def test_a_damaged_replaced_or_missing_model_never_reaches_the_library(home: Home) -> None:
    path = keep(home) / "model.txt"
    for content in (TEXT.encode()[:-1], TEXT.encode() + b"\n", b"", TEXT.encode().replace(b"tree", b"treE"), b"\xff"):
        path.write_bytes(content)
        with pytest.raises(ObjectDamaged, match=r"model\.txt is not what was written"):
            read_model_texts(home, VERSION)
    path.unlink()
    with pytest.raises(ObjectMissing, match=r"model\.txt is missing"):
        read_model_texts(home, VERSION)


PARTS = ("tree\none\n", "tree\ntwo\n")
ENSEMBLE = replace(
    VERSION,
    model_seal=None,
    members=tuple(
        MemberFile(name, weight, ("month",), "2013-02-01", 7, 9, seal_of_text(text))
        for name, weight, text in zip(("one", "two"), (3, 1), PARTS, strict=True)
    ),
    calibration={"fitted": {"method": "platt", "slope": 0.1, "offset": -1.5}, "rows": 9},
)


def test_an_ensemble_reads_back_with_its_members_in_their_order(home: Home) -> None:
    folder = keep(home, ENSEMBLE, texts=PARTS)

    assert read_version(home, "flight_delay", ENSEMBLE.version) == ENSEMBLE
    assert read_model_texts(home, ENSEMBLE) == PARTS
    assert [path.name for path in sorted(folder.glob("*.txt"))] == ["member_one.txt", "member_two.txt"]


def test_the_name_of_an_ensemble_depends_on_all_that_scores() -> None:
    one, two = ENSEMBLE.members
    others = {
        replace(ENSEMBLE, members=(two, one)).version,
        replace(ENSEMBLE, members=(replace(one, weight=2), two)).version,
        replace(ENSEMBLE, members=(replace(one, features=()), two)).version,
        replace(ENSEMBLE, members=(one, replace(two, seal=seal_of_text("tree\n2\n")))).version,
        replace(ENSEMBLE, members=(one,)).version,
        replace(ENSEMBLE, calibration=None).version,
        replace(ENSEMBLE, calibration={"rows": 9}).version,
    }
    assert len(others | {ENSEMBLE.version}) == 8


def test_a_version_of_before_ensembles_keeps_its_name() -> None:
    """Its manifest says nothing of what it does not have."""
    assert not VERSION.to_json().keys() & {"members", "calibration"}
    assert VERSION.version == "2013-09-01-12342eb7b165"


@pytest.mark.parametrize("name", ["member_one.txt", "member_two.txt"])
def test_one_damaged_member_keeps_all_from_the_library(home: Home, name: str) -> None:
    path = keep(home, ENSEMBLE, texts=PARTS) / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ObjectDamaged, match=rf"{name} is not what was written"):
        read_model_texts(home, ENSEMBLE)
    path.unlink()
    with pytest.raises(ObjectMissing, match=rf"{name} is missing"):
        read_model_texts(home, ENSEMBLE)
