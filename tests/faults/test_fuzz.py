"""A little nonsense of each kind; bench/fuzz.py has more of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.fuzzing import KINDS, fuzz_bits, fuzz_inputs, fuzz_models

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.place import Place


@pytest.mark.filterwarnings("default")
def test_nonsense_ends_with_one_line_and_a_code_of_the_table(place: Place, tmp_path: Path) -> None:
    """No traceback, no bug, one JSON document where it was asked for, nothing written elsewhere."""
    outside = tmp_path / "outside"
    outside.mkdir()

    found = fuzz_inputs(place, outside, count=156, seed=1)

    assert found.wrong == []
    assert min(found.kinds.values()) == 156 // (len(KINDS) + 1)
    assert {0, 2, 66, 78, 80} <= set(found.codes)


def test_no_damaged_or_replaced_model_reaches_the_library(place: Place) -> None:
    found = fuzz_models(place, count=300, seed=1)

    assert (found.wrong, dict(found.codes)) == ([], {80: 300})


def test_every_flipped_bit_in_the_store_is_found_and_none_is_published_from(place: Place) -> None:
    found = fuzz_bits(place, count=700, seed=1, asked=6)

    assert found.wrong == []
    assert found.codes[80] >= 700
