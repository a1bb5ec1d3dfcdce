"""What a transform is: declared in a feature module, it learns of training rows, and changes any rows one by one."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from features.contract import type_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from features.contract import Feature
    from features.fitted.plain import Plain

NUMBERS = frozenset({"int8", "int16", "int32", "int64", "float64"})
WHOLE = NUMBERS - {"float64"}
TEXT = frozenset({"text"})
ANY = NUMBERS | TEXT | {"bool", "date"}


class TransformRefused(Exception):
    """A transform is declared for columns that it cannot change, or with what it does not understand."""


class NothingToLearn(Exception):
    """The training rows do not hold what a transform learns from."""


@dataclass(frozen=True, slots=True)
class Training:
    """What transforms learn from: `rows` are one per (as_of, *key), as the transforms before made them.

    `labels`, row by row, are those known at the training cutoff; those of a night were all known, or given up, so many
    days after its as-of (`matures_days`).
    """

    rows: pl.DataFrame
    key: tuple[str, ...]
    labels: pl.Series | None
    matures_days: int


class Transform(Protocol):
    """One kind of transform, declared for some columns: a frozen dataclass whose fields are plain data.

    What it gives for a row depends on that row and on what was learnt, on nothing else.
    """

    kind: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it reads."""

    def gives(self, feature: Feature) -> tuple[Feature, ...]:
        """What one of the columns becomes, under its own name, and what is added at the end of the frame.

        Raises:
            TransformRefused: if the column has a type that this transform is not for.
        """

    def learn(self, name: str, training: Training) -> Plain:
        """What the training rows say of one column.

        Raises:
            NothingToLearn: if they say nothing.
        """

    def applied(self, name: str, learnt: Plain, rows: pl.DataFrame) -> tuple[pl.Expr | pl.Series, ...]:
        """The columns that `gives` names, for any rows, each row by itself."""


def require_columns(kind: str, columns: Sequence[str]) -> None:
    """Refuse a declaration that names no column, one twice, or a text where a tuple should be."""
    if isinstance(columns, str) or not columns:
        raise TransformRefused(f"{kind} is declared for {columns!r}; give a tuple of column names")
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise TransformRefused(f"{kind} is declared for {', '.join(twice)} twice; keep one")


def require_type(kind: str, feature: Feature, accepted: frozenset[str]) -> None:
    """Refuse a column of another type than these."""
    found = type_text(feature.dtype)
    if found not in accepted:
        raise TransformRefused(f"{kind} is for {', '.join(sorted(accepted))}, and `{feature.name}` is {found}")


def share(kind: str, what: str, text: str) -> Fraction:
    """A share that is declared as decimal text, exactly: a float such as 0.1 is not the number that one sees.

    Raises:
        TransformRefused: unless it is a text, and from 0 to 1.
    """
    try:
        found = Fraction(text) if isinstance(text, str) else None
    except (ValueError, ZeroDivisionError):
        found = None
    if found is None or not 0 <= found <= 1:
        raise TransformRefused(f"{kind}: `{what}` is a share from 0 to 1, as text such as '0.01', not {text!r}")
    return found


def nothing_in(kind: str, name: str, training: Training) -> NothingToLearn:
    """The refusal of a column without any value."""
    return NothingToLearn(
        f"`{name}` is null in all {training.rows.height} training rows, so {kind} learns nothing of it; "
        "look at its source, or take the transform away"
    )
