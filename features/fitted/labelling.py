"""Text: labels that are rare become one, and labels become codes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, cast

import polars as pl

from features.fitted.declaring import (
    TEXT,
    NothingToLearn,
    Training,
    TransformRefused,
    nothing_in,
    require_columns,
    require_type,
    share,
)

if TYPE_CHECKING:
    from features.contract import Feature
    from features.fitted.plain import Plain

NULL, OWN, REFUSE = "null", "own", "refuse"


@dataclass(frozen=True, slots=True)
class RareLabels:
    """A label becomes `becomes` if fewer than this share of the training rows with a label have it, or none has.

    A label that exactly this share has is kept; the share is decimal text, compared exactly. A null stays null. A
    label that no training row has is counted as unseen all the same.
    """

    columns: tuple[str, ...]
    least_share: str
    becomes: str = "(rare)"
    kind: ClassVar[str] = "rare labels"

    def __post_init__(self) -> None:
        require_columns(self.kind, self.columns)
        share(self.kind, "least_share", self.least_share)

    def gives(self, feature: Feature) -> tuple[Feature, ...]:
        """The same column with fewer labels."""
        require_type(self.kind, feature, TEXT)
        return (replace(feature, meaning=f"{feature.meaning}; {self.becomes} if under {self.least_share} have it"),)

    def learn(self, name: str, training: Training) -> Plain:
        """Labels that are kept, and those that are grouped, each by their UTF-8 bytes."""
        found = Counter(training.rows[name].drop_nulls().to_list())
        if not found:
            raise nothing_in(self.kind, name, training)
        if self.becomes in found:
            raise NothingToLearn(f"{self.kind}: `{name}` has the label {self.becomes!r}; give rare ones another name")
        least, rows = share(self.kind, "least_share", self.least_share), found.total()
        kept = [label for label, count in found.items() if count * least.denominator >= least.numerator * rows]
        return by_bytes(kept), by_bytes([label for label in found if label not in set(kept)])

    def applied(self, name: str, learnt: Plain, rows: pl.DataFrame) -> tuple[pl.Expr, ...]:  # noqa: ARG002
        """The column, its rare and unseen labels replaced."""
        kept, _ = cast("tuple[tuple[str, ...], tuple[str, ...]]", learnt)
        other = pl.col(name).is_not_null() & ~among(name, kept)
        return (pl.when(other).then(pl.lit(self.becomes)).otherwise(pl.col(name)).alias(name),)

    def known(self, learnt: Plain) -> tuple[str, ...]:
        """The labels that training saw."""
        kept, grouped = cast("tuple[tuple[str, ...], tuple[str, ...]]", learnt)
        return *kept, *grouped


@dataclass(frozen=True, slots=True)
class Codes:
    """A label becomes its place (Int32) among the labels of training, which are ordered by their UTF-8 bytes.

    A label that training did not see becomes null (`unseen="null"`), or the code after the last (`"own"`). It is
    counted, and a night with more of them than the job's `unseen_max` is not scored; with `"refuse"` one is enough.
    A null stays null.
    """

    columns: tuple[str, ...]
    unseen: str = NULL
    kind: ClassVar[str] = "codes"

    def __post_init__(self) -> None:
        require_columns(self.kind, self.columns)
        if self.unseen not in {NULL, OWN, REFUSE}:
            raise TransformRefused(f"{self.kind}: `unseen` is {NULL}, {OWN} or {REFUSE}, not {self.unseen!r}")

    def gives(self, feature: Feature) -> tuple[Feature, ...]:
        """The code instead of the text."""
        require_type(self.kind, feature, TEXT)
        return (replace(feature, dtype=pl.Int32()),)

    def learn(self, name: str, training: Training) -> Plain:
        """The labels, each at the place of its code."""
        return by_bytes(training.rows[name].drop_nulls().unique(maintain_order=True).to_list())

    def applied(self, name: str, learnt: Plain, rows: pl.DataFrame) -> tuple[pl.Expr, ...]:  # noqa: ARG002
        """The codes."""
        known = list(self.known(learnt))
        codes = list(range(len(known)))
        found = pl.col(name).replace_strict(known, codes, default=None, return_dtype=pl.Int32)
        if self.unseen != OWN:
            return (found,)
        return (pl.when(pl.col(name).is_not_null()).then(found.fill_null(pl.lit(len(known), pl.Int32))).alias(name),)

    def known(self, learnt: Plain) -> tuple[str, ...]:
        """The labels that training saw, each at the place of its code."""
        return cast("tuple[str, ...]", learnt)


def by_bytes(labels: list[str]) -> tuple[str, ...]:
    """Labels in the order of their UTF-8 bytes."""
    return tuple(sorted(labels, key=str.encode))


def among(name: str, labels: tuple[str, ...]) -> pl.Expr:
    """Whether a column holds one of these labels."""
    return pl.col(name).is_in(list(labels)) if labels else pl.lit(value=False)
