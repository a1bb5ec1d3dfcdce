"""Sealed documents: whatever is not exactly what was written is found."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.store import documents
from jobs.store.documents import (
    DocumentDamaged,
    DocumentMissing,
    canonical_json,
    make_folder,
    read_document,
    read_sealed,
    seal,
    write_document,
    write_durably,
)

if TYPE_CHECKING:
    from pathlib import Path

BODY = {"rows": 3, "share": 0.1, "ü": ["€", None, True]}

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def test_a_document_reads_back_with_its_digest(tmp_path: Path) -> None:
    digest = write_document(tmp_path / "new" / "d.json", "note", BODY)

    assert read_sealed(tmp_path / "new" / "d.json", "note") == (BODY, digest)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["d.json"]


def test_its_digest_is_of_body_format_and_kind() -> None:
    content, digest = seal("note", BODY)
    parts = json.loads(content)

    assert parts.pop("sha256") == digest
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(text.encode()).hexdigest() == digest
    assert set(parts) == {"body", "format", "kind"}


@given(st.dictionaries(TEXT, JSON, max_size=4))
def test_any_body_reads_back_as_it_was(body: dict) -> None:
    content, _ = seal("note", body)

    assert documents._body(content, "note") == body
    assert content.count(b"\n") == 1


def test_every_flipped_bit_is_found(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    write_document(path, "note", BODY)
    whole = path.read_bytes()

    for bit in range(len(whole) * 8):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(DocumentDamaged, match=r"d\.json is not what was written"):
            read_document(path, "note")


def test_a_document_that_is_cut_or_longer_is_found(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    write_document(path, "note", BODY)
    whole = path.read_bytes()

    for damaged in [*(whole[:end] for end in range(len(whole))), whole + b" ", whole + b"\n", b"\n" + whole, whole * 2]:
        path.write_bytes(damaged)
        with pytest.raises(DocumentDamaged):
            read_document(path, "note")


@pytest.mark.parametrize(
    "written",
    [
        b"null",
        b"[]",
        b"{}",
        b'{"body": 1}',
        b'"\xff"',
        b"[" * 100_000,
        b"1" * 5_000,
        b'{"body":{"x":NaN}}',
        b'{"body":{"x":"\\ud800"}}',
        seal("note", BODY)[0].decode().encode("utf-16"),
        json.dumps(json.loads(seal("note", BODY)[0])).encode(),
    ],
    ids=["null", "list", "empty", "number", "no-utf8", "deep", "long", "nan", "surrogate", "utf16", "not-canonical"],
)
def test_what_is_no_document_is_refused_as_damaged(tmp_path: Path, written: bytes) -> None:
    (tmp_path / "d.json").write_bytes(written)

    with pytest.raises(DocumentDamaged):
        read_document(tmp_path / "d.json", "note")


def test_a_document_of_another_kind_or_none_is_refused(tmp_path: Path) -> None:
    write_document(tmp_path / "d.json", "note", BODY)

    with pytest.raises(DocumentDamaged):
        read_document(tmp_path / "d.json", "event")
    with pytest.raises(DocumentMissing, match=r"e\.json is missing; restore it from a backup"):
        read_document(tmp_path / "e.json", "note")


def test_keys_are_sorted_text_is_plain_and_there_is_no_nan() -> None:
    assert canonical_json({"b": 1, "a": ["ü", 0.1, None]}) == '{"a":["ü",0.1,null],"b":1}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"a": float("nan")})


def test_what_cannot_be_written_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full at the last moment: the fsync fails, and is not tried again."""
    write_durably(tmp_path / "d", b"old")
    calls = []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_durably(tmp_path / "d", b"new")

    assert len(calls) == 1
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("d", b"old")]


def test_every_folder_that_is_made_is_made_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in a folder whose own entry was lost with the power would be lost, too."""
    synced: list[Path] = []
    monkeypatch.setattr(documents, "sync_folder", synced.append)

    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")

    assert synced == [tmp_path, tmp_path / "a"]


def test_a_document_in_new_folders_is_durable_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(documents, "sync_folder", synced.append)

    write_document(tmp_path / "events" / "job" / "00000001.json", "event", BODY)

    assert synced == [tmp_path, tmp_path / "events", tmp_path / "events" / "job"]
