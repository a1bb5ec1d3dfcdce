"""The proofs can fail: each seeded defect is noticed by the proof that should notice it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.jobs.proofs.defects import DEFECTS, Defect
from tests.jobs.proofs.trees import refused_or_broken, seeded_tree

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_seeded_defect_is_caught_by_the_proof_that_should_catch_it(
    tmp_path: Path, small_warehouse: Path, defect: Defect
) -> None:
    """The whole program runs from a copy of the source that holds the defect, from training on."""
    tree = seeded_tree(tmp_path, defect)
    proofs = () if defect.caught_by.startswith("refused") else (defect.caught_by,)

    assert refused_or_broken(tree, small_warehouse, proofs) == [defect.caught_by]


def test_without_a_defect_nothing_is_caught(tmp_path: Path, small_warehouse: Path) -> None:
    """The same way through the same copy: whatever a defect's test sees is the defect's doing."""
    assert refused_or_broken(seeded_tree(tmp_path, None), small_warehouse, ()) == []
