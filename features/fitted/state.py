"""What transforms learnt: kept beside the model as JSON, it comes back equal, and alone says how rows are changed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, cast

from features.contract import type_named
from features.fitted.declaring import TransformRefused
from features.fitted.filling import ConstantImputation, MedianImputation, MissingIndicator
from features.fitted.holding import QuantileBins, Winsorising
from features.fitted.labelling import NULL, REFUSE, Codes, RareLabels
from features.fitted.plain import Json, from_json, to_json
from features.fitted.sampling import RandomSampleImputation
from features.fitted.targets import TargetEncoding, matures_days

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from features.contract import FeatureSet
    from features.fitted.declaring import Transform
    from features.fitted.plain import Plain

KINDS: tuple[type[Transform], ...] = (
    MedianImputation,
    ConstantImputation,
    MissingIndicator,
    RandomSampleImputation,
    RareLabels,
    Codes,
    Winsorising,
    QuantileBins,
    TargetEncoding,
)


class FittedRefused(Exception):
    """The text is no fitted state, or a frame does not have the columns that it is for."""


@dataclass(frozen=True, slots=True)
class State:
    """What one transform was declared with, the types that its columns had, and what it learnt of each."""

    transform: Transform
    types: tuple[str, ...]
    learnt: tuple[Plain, ...]

    @property
    def by_column(self) -> Mapping[str, Plain]:
        """Column to what was learnt of it."""
        return dict(zip(self.transform.columns, self.learnt, strict=True))


@dataclass(frozen=True, slots=True)
class Fitted:
    """What the transforms of one model learnt, in the order in which they are applied."""

    states: tuple[State, ...]

    @property
    def transforms(self) -> tuple[Transform, ...]:
        """The transforms as they were declared."""
        return tuple(state.transform for state in self.states)

    @property
    def in_words(self) -> str:
        """The transforms and their columns, in order."""
        return "; ".join(f"{each.kind} of {', '.join(each.columns)}" for each in self.transforms) or "none"

    @property
    def matures_days(self) -> int | None:
        """How many days after its as-of a night's labels count, if a transform learnt of labels."""
        targets = [state.learnt[0] for state in self.states if isinstance(state.transform, TargetEncoding)]
        return matures_days(targets[0]) if targets else None

    @property
    def labels(self) -> Mapping[str, tuple[str, ...]]:
        """Each text column of a built frame whose labels were learnt: the labels that training saw."""
        found: dict[str, tuple[str, ...]] = {}
        for state in self.states:
            match state.transform:
                case Codes() | RareLabels() | TargetEncoding(suffix="") as transform:
                    texts = zip(transform.columns, state.types, state.learnt, strict=True)
                    seen = {name: transform.known(learnt) for name, kind, learnt in texts if kind == "text"}
                    found |= {name: labels for name, labels in seen.items() if name not in found}
        return found

    @property
    def refusing(self) -> frozenset[str]:
        """The columns of which no label may be unseen."""
        refusing = [each.columns for each in self.transforms if isinstance(each, Codes) and each.unseen == REFUSE]
        return frozenset(name for columns in refusing for name in columns)

    def columns(self, feature_set: FeatureSet) -> FeatureSet:
        """The model's columns: those of a feature set in their order, as transforms replace them, then added ones.

        Raises:
            TransformRefused: if a transform is for other columns.
        """
        return columns_after(self.transforms, feature_set)

    def to_json(self) -> str:
        """Canonical JSON: equal states give equal text. Codes alone are written as they were before there was more."""
        if not self.states or (len(self.states) == 1 and self.transforms == (Codes(self.transforms[0].columns),)):
            labels = [[name, list(known)] for name, known in self.labels.items()]
            return json.dumps({"labels": labels}, ensure_ascii=False)
        content = {"transforms": [_state_to_json(state) for state in self.states]}
        return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Fitted:
        """The state that `to_json` wrote.

        Raises:
            FittedRefused: if the text is anything else.
        """
        try:
            content = json.loads(text)
            found = cls(_old_states(content) if "labels" in content else _states(content["transforms"]))
        except (ValueError, KeyError, TypeError, AttributeError, TransformRefused):
            found = None
        if found is None or found.to_json() != text:
            raise FittedRefused("this is not a fitted state as `to_json` writes it; train again")
        return found


def columns_after(transforms: Sequence[Transform], feature_set: FeatureSet) -> FeatureSet:
    """What the columns of a feature set become.

    Raises:
        TransformRefused: if a transform is for a column that is not there, or has another type, or adds one twice.
    """
    features = {feature.name: feature for feature in feature_set.features}
    for transform in transforms:
        unknown = [name for name in transform.columns if name not in features]
        if unknown:
            raise TransformRefused(
                f"{transform.kind} is declared for {', '.join(unknown)}, which {feature_set.name} has not"
            )
        for name in transform.columns:
            given = transform.gives(features[name])
            twice = [each.name for each in given if each.name != name and each.name in features]
            if twice:
                raise TransformRefused(f"{transform.kind} adds {', '.join(twice)}, which is there; choose another name")
            features |= {each.name: each for each in given}
    return replace(feature_set, features=tuple(features.values()))


def require_types(state: State, schema: Mapping[str, object]) -> None:
    """Pass if a frame has the columns that a state is for, of the types that they had at training.

    Raises:
        FittedRefused: naming those that it has not.
    """
    columns = zip(state.transform.columns, state.types, strict=True)
    wrong = [(kind, name) for name, kind in columns if schema.get(name) != type_named(kind)]
    if wrong:
        kinds = [f"{kind} in {', '.join(name for of, name in wrong if of == kind)}" for kind in dict(wrong)]
        raise FittedRefused(f"the model expects {' and '.join(kinds)}; build the frame with its feature set")


def _state_to_json(state: State) -> Json:
    declared = asdict(state.transform)
    return {
        "kind": state.transform.kind,
        "columns": list(state.transform.columns),
        "types": list(state.types),
        "parameters": {name: to_json(value) for name, value in declared.items() if name != "columns"},
        "learnt": [to_json(learnt) for learnt in state.learnt],
    }


def _states(content: list[dict[str, object]]) -> tuple[State, ...]:
    by_kind = {kind.kind: kind for kind in KINDS}
    return tuple(_state(by_kind[cast("str", each["kind"])], each) for each in content)


def _state(kind: Callable[..., Transform], content: dict[str, object]) -> State:
    parameters = cast("dict[str, object]", content["parameters"])
    declared = {name: from_json(value) for name, value in parameters.items()}
    columns = cast("tuple[str, ...]", from_json(content["columns"]))
    types = cast("tuple[str, ...]", from_json(content["types"]))
    learnt = cast("tuple[Plain, ...]", from_json(content["learnt"]))
    if not len(columns) == len(types) == len(learnt):
        raise ValueError("columns, types and what was learnt do not belong together")
    return State(kind(columns=columns, **declared), types, learnt)


def _old_states(content: dict[str, list[tuple[str, list[str]]]]) -> tuple[State, ...]:
    """Codes, as they were written before there were other transforms."""
    labels = [(str(name), tuple(map(str, known))) for name, known in content["labels"]]
    if not labels:
        return ()
    names = tuple(name for name, _ in labels)
    return (State(Codes(names, NULL), ("text",) * len(names), tuple(known for _, known in labels)),)
