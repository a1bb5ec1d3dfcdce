"""The parameters of one job's model, read from the text of `models/<job>.toml`.

    objective = "binary"          # or another of `models.objectives`
    rounds = 300                  # trees; there is no early stopping
    seed = 20130901
    validation_nights = 28        # the last nights, kept out of the model that is measured
    categorical = ["carrier"]     # features whose whole numbers are codes; may be left out
    baseline = "carrier_late_28d" # a feature that, by itself, is a naive score to compare with; may be left out

    [lightgbm]                    # only what `models.tunables` allows, under canonical names
    num_leaves = 31

    [[members]]                   # several trainings, see `models.members`; may be left out
    [calibration]                 # of the scores, see `models.calibrating`; may be left out

Whatever else stands there is refused by name. Only the standard library is imported here, so that `score --help`
does not wait for LightGBM.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import cast

from models.calibrating import CALIBRATION, Asked, read_calibration
from models.members import MEMBERS, MOST_MEMBERS, Member, read_member, whole_weights
from models.objectives import OBJECTIVES, REFUSED_OBJECTIVES, Objective
from models.parameter_file import ParametersRefused, Source
from models.tunables import REFUSED, TUNABLES, Value, one_of, whole

__all__ = ["REPEATABLE", "Parameters", "ParametersRefused", "change_parameters", "parse_parameters"]

REPEATABLE: Mapping[str, Value] = MappingProxyType(
    {
        "deterministic": True,  # parallel sums in one order, whatever the number of threads
        "force_row_wise": True,  # else LightGBM times row-wise against column-wise, and a busy machine chooses
        "tree_learner": "serial",  # the parallel learners merge histograms in the order of arrival
        "device_type": "cpu",  # GPU histograms are float32 and unordered
        "data_sample_strategy": "bagging",  # GOSS gives other trees for another number of threads
        "linear_tree": False,  # its least squares depend on the number of threads
        "use_quantized_grad": False,  # stochastic rounding draws per thread
        "bin_construct_sample_cnt": 2**31 - 1,  # bins see every row, not a sample by position
        "two_round": False,  # rows come from memory, once
        "enable_bundle": False,  # a bundle may lose the values of 1 row in 10,000
        "feature_pre_filter": False,  # the features that a tree may draw from do not depend on min_data_in_leaf
        "boost_from_average": True,  # the base rate is the first tree's offset: part of the model, not of the library
        "use_missing": True,  # null is NaN is missing,
        "zero_as_missing": False,  # and 0 is a number
        "early_stopping_round": 0,  # the number of trees is a parameter, not a result
        "metric": "None",  # measured by models.evaluation, not while training
        "verbosity": -1,  # nothing is printed; the model text records this line, so it is fixed too
    }
)
"""What makes training repeatable, each with its reason; none of it can be tuned.

The seven seeds (`data_random_seed`, `feature_fraction_seed`, `bagging_seed`, …) all derive from the one `seed`, and the
model text records each. `num_threads` is an argument: it changes nothing, and its line in the model text is normalised.
"""

BY_COLUMN: Mapping[str, Value] = MappingProxyType(
    {
        "force_row_wise": False,
        "force_col_wise": True,  # each histogram is added up by one thread, from the first row to the last
    }
)
"""For objectives other than `binary` and `regression`.

Row-wise, LightGBM adds up as many blocks of rows as there are threads, deterministic or not. That gave equal trees for
those two, whose float32 gradients add up without rounding in float64 as far as was measured; with `fair`, and
`poisson` with dart, trees depended on the number of threads.
"""

_BY_ROW = ("binary", "regression")

_TOP = MappingProxyType(
    {
        "objective": one_of(*OBJECTIVES),
        "rounds": whole(1, 100_000),
        "seed": whole(0, 2**31 - 1),
        "validation_nights": whole(1, 10_000),
    }
)
_TABLE = "lightgbm"
_BESIDE = ("categorical", "baseline", _TABLE, MEMBERS, CALIBRATION)


@dataclass(frozen=True)
class Parameters:
    """How the model of one job is trained."""

    objective: Objective
    rounds: int
    seed: int
    validation_nights: int
    categorical: tuple[str, ...] = ()
    tunables: tuple[tuple[str, Value], ...] = ()
    """Sorted by name; what is left out keeps LightGBM's default, which the model text records."""
    members: tuple[Member, ...] = ()
    """Of an ensemble, in the order in which their raw scores are added; empty for a single model."""
    calibration: Asked | None = None

    @property
    def binary(self) -> bool:
        """Whether labels are 0 and 1, and a score is a probability."""
        return self.objective == "binary"

    def alone(self, member: Member) -> "Parameters":
        """How one member is trained: what it declares, over what is declared for all."""
        return replace(
            self,
            objective=member.objective or self.objective,
            rounds=self.rounds if member.rounds is None else member.rounds,
            seed=self.seed if member.seed is None else member.seed,
            tunables=tuple(sorted({**dict(self.tunables), **dict(member.tunables)}.items())),
            members=(),
            calibration=None,
        )

    baseline: str = ""
    """A feature whose values, as the model sees them, are the naive score that the model is compared with."""

    def library(self, threads: int) -> dict[str, Value]:
        """Everything that LightGBM is told, under its own names, except the number of rounds."""
        own: dict[str, Value] = {"objective": self.objective, "seed": self.seed, "num_threads": threads}
        return {**dict(self.tunables), **self.repeatable(), **own}

    def repeatable(self) -> dict[str, Value]:
        """What is fixed for this objective."""
        return {**REPEATABLE, **({} if self.objective in _BY_ROW else BY_COLUMN)}

    def to_json(self) -> dict[str, object]:
        """Every parameter, fixed ones included, as JSON values; members and calibration only where there are any."""
        more: dict[str, object] = {MEMBERS: [each.to_json() for each in self.members]} if self.members else {}
        if self.calibration:
            more[CALIBRATION] = self.calibration.to_json()
        return more | {
            "objective": self.objective,
            "rounds": self.rounds,
            "seed": self.seed,
            "validation_nights": self.validation_nights,
            "categorical": list(self.categorical),
            "lightgbm": dict(self.tunables),
            "repeatable": self.repeatable(),
            **({"baseline": self.baseline} if self.baseline else {}),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, object]) -> "Parameters":
        """Those that `to_json` wrote; what is fixed must still be fixed to the same.

        Raises:
            ParametersRefused: if what makes training repeatable was another then.
        """
        found = cls(
            objective=cast("Objective", content["objective"]),
            rounds=cast("int", content["rounds"]),
            seed=cast("int", content["seed"]),
            validation_nights=cast("int", content["validation_nights"]),
            categorical=tuple(cast("list[str]", content["categorical"])),
            tunables=tuple(sorted(cast("dict[str, Value]", content["lightgbm"]).items())),
            members=tuple(map(Member.from_json, cast("list[dict[str, object]]", content.get(MEMBERS, [])))),
            calibration=Asked.from_json(cast("dict[str, object]", content[CALIBRATION]))
            if CALIBRATION in content
            else None,
            baseline=cast("str", content.get("baseline", "")),
        )
        if content["repeatable"] != found.repeatable():
            raise ParametersRefused("these parameters were fixed to other values then; that training is not repeated")
        return found


def parse_parameters(text: str, path: str) -> Parameters:
    """Read the parameters of one job; `path` is only what messages call the file.

    Raises:
        ParametersRefused: the text is not TOML, or says what is unknown, out of bounds or not repeatable.
    """
    return parameters_of(_toml(Source(path, text)), text, path)


def parameters_of(document: Mapping[str, object], text: str, path: str) -> Parameters:
    """The parameters that the entries of a file give, whose lines are found in its text; errors as above."""
    return _read(document, Source(path, text))


def change_parameters(parameters: Parameters, changes: Mapping[str, object]) -> Parameters:
    """The parameters with some of them changed: by name, whether it stands at the top of a file or in its table.

    Raises:
        ParametersRefused: by the rules of a file, naming the change.
    """
    document: dict[str, object] = {key: getattr(parameters, key) for key in _TOP}
    document |= {"categorical": list(parameters.categorical), "baseline": parameters.baseline}
    document[MEMBERS] = [each.to_json() for each in parameters.members]
    document[CALIBRATION] = parameters.calibration.to_json() if parameters.calibration else {}
    tunables: dict[str, object] = dict(parameters.tunables)
    for name, value in changes.items():
        (document if name in document else tunables)[name] = value
    return _read({**document, _TABLE: tunables}, Source("changed parameters", ""))


def _read(document: Mapping[str, object], source: Source) -> Parameters:
    for key in document:
        if key not in _TOP and key not in _BESIDE:
            moved = f"`{key}` belongs in the table [{_TABLE}]"
            raise source.refusal(key, moved if key in TUNABLES else _why_not(key))
    if str(document.get("objective")) in REFUSED_OBJECTIVES:
        raise _objective_refused(source, str(document["objective"]))
    for key, expected in _TOP.items():
        source.check(key, document.get(key), expected(document.get(key)))
    categorical = _categorical(source, document.get("categorical", []))
    parameters = Parameters(
        objective=cast("Objective", document["objective"]),
        rounds=cast("int", document["rounds"]),
        seed=cast("int", document["seed"]),
        validation_nights=cast("int", document["validation_nights"]),
        categorical=categorical,
        tunables=_tunables(source, document.get(_TABLE, {})),
        calibration=read_calibration(document.get(CALIBRATION, {}), source),
        baseline=_baseline(source, document.get("baseline", ""), categorical),
    )
    if parameters.calibration and not parameters.binary:
        raise source.refusal(CALIBRATION, "only the scores of a binary objective are probabilities to calibrate")
    return replace(parameters, members=_members(source, document.get(MEMBERS, []), parameters))


def _members(source: Source, declared: object, parameters: Parameters) -> tuple[Member, ...]:
    if not isinstance(declared, list) or len(declared) > MOST_MEMBERS:
        raise source.refusal(MEMBERS, f"`members` should be tables [[members]], at most {MOST_MEMBERS}")
    read = [read_member(content, place, source) for place, content in enumerate(declared)]
    weights = whole_weights([weight for _, weight in read]) if read else ()
    found: list[Member] = []
    for place, ((content, _), weight) in enumerate(zip(read, weights, strict=True)):
        table = f"{MEMBERS}[{place}]"
        own = _tunables(source, content.get(_TABLE, {}), f"{table}.{_TABLE}", parameters.tunables)
        _check_link(source, content.get("objective", parameters.objective), parameters, table)
        member = Member.from_json({**content, "weight": weight, _TABLE: dict(own)})
        _check_another(source, member, found, parameters, table)
        found.append(member)
    return tuple(found)


def _check_link(source: Source, objective: object, parameters: Parameters, table: str) -> None:
    """Refuse an objective whose raw scores cannot be added to the others'."""
    if str(objective) in REFUSED_OBJECTIVES:
        raise _objective_refused(source, str(objective), table)
    source.check("objective", objective, one_of(*OBJECTIVES)(objective), table)
    link, other = OBJECTIVES[parameters.objective], OBJECTIVES[str(objective)]
    if link != other:
        raise source.refusal(
            "objective",
            f"raw scores of `{objective}` ({other} link) and of `{parameters.objective}` ({link} link) cannot be added",
            table,
        )


def _check_another(
    source: Source, member: Member, before: Sequence[Member], parameters: Parameters, table: str
) -> None:
    """Refuse a name that is taken, and a training that would be done twice."""
    if any(member.name == each.name for each in before):
        raise source.refusal("name", f"two members are called `{member.name}`", table)
    for each in before:
        same = parameters.alone(each) == parameters.alone(member)
        if same and (each.nights, each.features, each.without) == (member.nights, member.features, member.without):
            raise source.refusal(
                "seed", f"`{member.name}` is the same training as `{each.name}`; give it another seed", table
            )


def _objective_refused(source: Source, objective: str, table: str = "") -> ParametersRefused:
    return source.refusal("objective", f"objective '{objective}' is refused: {REFUSED_OBJECTIVES[objective]}", table)


def _toml(source: Source) -> dict[str, object]:
    try:
        return tomllib.loads(source.text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        line = int(found[1]) if found else source.text.count("\n") + 1
        raise ParametersRefused(f"{source.path}:{line}: not TOML: {error}") from error


def _categorical(source: Source, names: object) -> tuple[str, ...]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise source.refusal("categorical", "`categorical` should be a list of feature names")
    if len(set(names)) != len(names):
        raise source.refusal("categorical", "`categorical` names a feature twice")
    return tuple(sorted(names))


def _baseline(source: Source, name: object, categorical: tuple[str, ...]) -> str:
    if not isinstance(name, str):
        raise source.refusal("baseline", "`baseline` should be the name of one feature")
    if name in categorical:
        raise source.refusal("baseline", f"`baseline` is `{name}`, whose numbers are codes; name one that is a score")
    return name


def _tunables(
    source: Source, options: object, table: str = _TABLE, common: Sequence[tuple[str, Value]] = ()
) -> tuple[tuple[str, Value], ...]:
    """The tunables of one table, held to their bounds; `common` are those that they stand over."""
    if not isinstance(options, dict):
        raise source.refusal(_TABLE, f"`{_TABLE}` should be a table")
    for name, value in options.items():
        if name not in TUNABLES:
            raise source.refusal(name, _why_not(name), table)
        if name == "boosting" and value == "goss":
            raise source.refusal(name, f"boosting = 'goss' is refused: {REFUSED['data_sample_strategy']}", table)
        source.check(name, value, TUNABLES[name](value), table)
    told = {**dict(common), **options}
    if told.get("bagging_fraction", 1) != 1 and not told.get("bagging_freq"):
        raise source.refusal("bagging_fraction", "`bagging_fraction` does nothing without `bagging_freq`", table)
    return tuple(sorted(options.items()))


def _why_not(name: str) -> str:
    """Why LightGBM's option `name` cannot be set."""
    canonical = _canonical(name)
    if canonical is None:
        return f"`{name}` is not among what may be tuned: {', '.join(TUNABLES)}"
    called = f"`{name}`" if name == canonical else f"`{name}` (LightGBM's alias of `{canonical}`)"
    if canonical in TUNABLES:
        return f"{called} is refused: write `{canonical}`"
    if canonical in REFUSED:
        return f"{called} is refused: {REFUSED[canonical]}"
    return f"{called} is refused: it is always {REPEATABLE[canonical]!r}, or training could not be repeated"


def _canonical(name: str) -> str | None:
    """LightGBM's own name for `name`, if it is one that we have something to say about."""
    known = TUNABLES.keys() | REFUSED.keys() | REPEATABLE.keys()
    if name in known:
        return name
    from lightgbm.basic import _ConfigAliases  # noqa: PLC0415 - slow to import, and only needed to refuse

    return next(iter(sorted(_ConfigAliases.get_by_alias(name) & known)), None)
