"""The members of an ensemble, as a parameter file declares them: trainings whose raw scores are added with weights.

    [[members]]
    name = "recent"
    weight = 2                    # a whole number, or a decimal number as text: "0.25"
    seed = 7                      # what is left out is as at the top of the file
    rounds = 100
    nights = 120                  # only the last nights of the training set
    objective = "binary"          # with the same link as the one at the top
    features = ["carrier_*"]      # only these features; * stands for any letters
    without = ["*_late_*"]        # all but these

    [members.lightgbm]            # tunables of its own, over those at the top
    num_leaves = 15

Weights become whole numbers of the same proportions: a float weight would stand for another number than is written.
Raw scores are added in the order of the file (`models.ensemble`). Only the standard library is imported here.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from math import gcd
from typing import cast

from models.objectives import Objective
from models.parameter_file import Source
from models.tunables import Value, whole

MEMBERS = "members"
MOST_MEMBERS = 100

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_PATTERN = re.compile(r"[A-Za-z0-9_*]+")
_WEIGHT = re.compile(r"\d{1,7}(\.\d{1,6})?", re.ASCII)
_MOST_WEIGHT = 1_000_000
_PLACES = 6
_WHOLE = {"seed": whole(0, 2**31 - 1), "rounds": whole(1, 100_000), "nights": whole(1, 10_000)}
_KNOWN = ("name", "weight", *_WHOLE, "objective", "features", "without", "lightgbm")


@dataclass(frozen=True)
class Member:
    """One training of an ensemble: what is null or empty is as for all."""

    name: str
    weight: int = 1
    seed: int | None = None
    rounds: int | None = None
    nights: int | None = None
    objective: Objective | None = None
    features: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    tunables: tuple[tuple[str, Value], ...] = ()

    def to_json(self) -> dict[str, object]:
        """As a parameter file would say it: only what is declared, and the weight."""
        said: dict[str, object] = {"name": self.name, "weight": self.weight}
        for name in (*_WHOLE, "objective"):
            value = getattr(self, name)
            said |= {} if value is None else {name: value}
        for name, patterns in (("features", self.features), ("without", self.without)):
            said |= {name: list(patterns)} if patterns else {}
        return said | ({"lightgbm": dict(self.tunables)} if self.tunables else {})

    @classmethod
    def from_json(cls, content: Mapping[str, object]) -> "Member":
        """What `to_json` wrote."""
        given = dict(content)
        tunables = cast("dict[str, Value]", given.pop("lightgbm", {}))
        lists = {name: tuple(cast("list[str]", given.pop(name, []))) for name in ("features", "without")}
        return cls(**cast("dict[str, int]", given), **lists, tunables=tuple(sorted(tunables.items())))  # type: ignore[arg-type]

    def choose(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Which of the model's columns it learns from, in their order.

        Raises:
            LookupError: with the first pattern that matches none of them, or if nothing is left.
        """
        for pattern in (*self.features, *self.without):
            if not any(fnmatchcase(name, pattern) for name in columns):
                raise LookupError(f"member `{self.name}` names `{pattern}`, and no feature is called so")
        chosen = tuple(
            name for name in columns if _among(name, self.features or ("*",)) and not _among(name, self.without)
        )
        if not chosen:
            raise LookupError(f"member `{self.name}` is left without a feature")
        return chosen


def _among(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def read_member(content: object, place: int, source: Source) -> tuple[dict[str, object], Decimal]:
    """One declared member, held to all rules but those that need the rest of the file: its entries, and its weight."""
    table = f"{MEMBERS}[{place}]"
    if not isinstance(content, dict):
        raise source.refusal(MEMBERS, "each of `members` should be a table")
    for key in content:
        if key not in _KNOWN:
            raise source.refusal(
                key, f"`{key}` is not an entry of a member: {', '.join(_KNOWN)} (tunables: [members.lightgbm])", table
            )
    if not isinstance(content.get("name"), str) or not _NAME.fullmatch(content["name"]):
        raise source.refusal("name", "a member has a `name` of lower-case letters, digits and underscores", table)
    for key, expected in _WHOLE.items():
        if key in content:
            source.check(key, content[key], expected(content[key]), table)
    for key in ("features", "without"):
        if key in content:
            _check_patterns(source, key, content[key], table)
    return content, _weight(content.get("weight", 1), source, table)


def _check_patterns(source: Source, key: str, patterns: object, table: str) -> None:
    named = isinstance(patterns, list) and patterns and all(isinstance(each, str) for each in patterns)
    if not named or not all(_PATTERN.fullmatch(each) for each in cast("list[str]", patterns)):
        raise source.refusal(
            key, f"`{key}` should be a list of feature names, in which * stands for any letters", table
        )
    if len(set(cast("list[str]", patterns))) != len(cast("list[str]", patterns)):
        raise source.refusal(key, f"`{key}` names a feature twice", table)


def _weight(value: object, source: Source, table: str) -> Decimal:
    text = value if isinstance(value, str) else str(value) if whole(1, _MOST_WEIGHT)(value) is None else ""
    weight = Decimal(text) if _WEIGHT.fullmatch(text) else Decimal(0)
    if not 0 < weight <= _MOST_WEIGHT:
        expected = f'a whole number from 1 to {_MOST_WEIGHT}, or a decimal number as text, as in "0.25"'
        raise source.refusal("weight", f"`weight` is {value!r}; it should be {expected}", table)
    return weight


def whole_weights(weights: Sequence[Decimal]) -> tuple[int, ...]:
    """The smallest whole numbers in the same proportions."""
    scaled = [int(weight * 10**_PLACES) for weight in weights]
    common = gcd(*scaled)
    return tuple(each // common for each in scaled)
