"""The parameters of one job's model, read from the text of `models/<job>.toml`.

    objective = "binary"          # or "regression"
    rounds = 300                  # trees; there is no early stopping
    seed = 20130901
    validation_nights = 28        # the last nights, kept out of the model that is measured
    categorical = ["carrier"]     # features whose whole numbers are codes; may be left out
    baseline = "carrier_late_28d" # a feature that, by itself, is a naive score to compare with; may be left out

    [lightgbm]                    # only what `models.tunables` allows, under canonical names
    num_leaves = 31

Whatever else stands there is refused by name. Only the standard library is imported here, so that `score --help`
does not wait for LightGBM.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, cast

from models.tunables import REFUSED, TUNABLES, Value, one_of, whole

type Objective = Literal["binary", "regression"]

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

_TOP = MappingProxyType(
    {
        "objective": one_of("binary", "regression"),
        "rounds": whole(1, 100_000),
        "seed": whole(0, 2**31 - 1),
        "validation_nights": whole(1, 10_000),
    }
)
_TABLE = "lightgbm"


class ParametersRefused(ValueError):
    """A parameter file says something that is not allowed; `path:line: reason`."""


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
    baseline: str = ""
    """A feature whose values, as the model sees them, are the naive score that the model is compared with."""

    def library(self, threads: int) -> dict[str, Value]:
        """Everything that LightGBM is told, under its own names, except the number of rounds."""
        own: dict[str, Value] = {"objective": self.objective, "seed": self.seed, "num_threads": threads}
        return {**dict(self.tunables), **REPEATABLE, **own}

    def to_json(self) -> dict[str, object]:
        """Every parameter, fixed ones included, as JSON values."""
        return {
            "objective": self.objective,
            "rounds": self.rounds,
            "seed": self.seed,
            "validation_nights": self.validation_nights,
            "categorical": list(self.categorical),
            "lightgbm": dict(self.tunables),
            "repeatable": dict(REPEATABLE),
            **({"baseline": self.baseline} if self.baseline else {}),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, object]) -> "Parameters":
        """Those that `to_json` wrote; what is fixed must still be fixed to the same.

        Raises:
            ParametersRefused: if what makes training repeatable was another then.
        """
        if content["repeatable"] != dict(REPEATABLE):
            raise ParametersRefused("these parameters were fixed to other values then; that training is not repeated")
        return cls(
            objective=cast("Objective", content["objective"]),
            rounds=cast("int", content["rounds"]),
            seed=cast("int", content["seed"]),
            validation_nights=cast("int", content["validation_nights"]),
            categorical=tuple(cast("list[str]", content["categorical"])),
            tunables=tuple(sorted(cast("dict[str, Value]", content["lightgbm"]).items())),
            baseline=cast("str", content.get("baseline", "")),
        )


@dataclass(frozen=True)
class _Source:
    """A parameter file: what to call it, and its text; without a text, no line of it can be named."""

    path: str
    text: str

    def refusal(self, key: str, reason: str, table: str = "") -> ParametersRefused:
        if not self.text:
            return ParametersRefused(f"{self.path}: {reason}")
        return ParametersRefused(f"{self.path}:{_line_of(self.text, key, table)}: {reason}")


def parse_parameters(text: str, path: str) -> Parameters:
    """Read the parameters of one job; `path` is only what messages call the file.

    Raises:
        ParametersRefused: the text is not TOML, or says what is unknown, out of bounds or not repeatable.
    """
    source = _Source(path, text)
    return _read(_toml(source), source)


def change_parameters(parameters: Parameters, changes: Mapping[str, object]) -> Parameters:
    """The parameters with some of them changed: by name, whether it stands at the top of a file or in its table.

    Raises:
        ParametersRefused: by the rules of a file, naming the change.
    """
    document: dict[str, object] = {key: getattr(parameters, key) for key in _TOP}
    document |= {"categorical": list(parameters.categorical), "baseline": parameters.baseline}
    tunables: dict[str, object] = dict(parameters.tunables)
    for name, value in changes.items():
        (document if name in document else tunables)[name] = value
    return _read({**document, _TABLE: tunables}, _Source("changed parameters", ""))


def _read(document: Mapping[str, object], source: _Source) -> Parameters:
    for key in document:
        if key not in _TOP and key not in ("categorical", "baseline", _TABLE):
            moved = f"`{key}` belongs in the table [{_TABLE}]"
            raise source.refusal(key, moved if key in TUNABLES else _why_not(key))
    for key, expected in _TOP.items():
        _check(source, key, document.get(key), expected(document.get(key)))
    categorical = _categorical(source, document.get("categorical", []))
    return Parameters(
        objective=cast("Objective", document["objective"]),
        rounds=cast("int", document["rounds"]),
        seed=cast("int", document["seed"]),
        validation_nights=cast("int", document["validation_nights"]),
        categorical=categorical,
        tunables=_tunables(source, document.get(_TABLE, {})),
        baseline=_baseline(source, document.get("baseline", ""), categorical),
    )


def _toml(source: _Source) -> dict[str, object]:
    try:
        return tomllib.loads(source.text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        line = int(found[1]) if found else source.text.count("\n") + 1
        raise ParametersRefused(f"{source.path}:{line}: not TOML: {error}") from error


def _check(source: _Source, key: str, value: object, expected: str | None, table: str = "") -> None:
    """Refuse `key` if something else was expected."""
    if value is None:
        raise source.refusal(key, f"`{key}` is missing; it should be {expected}", table)
    if expected is not None:
        raise source.refusal(key, f"`{key}` is {value!r}; it should be {expected}", table)


def _categorical(source: _Source, names: object) -> tuple[str, ...]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise source.refusal("categorical", "`categorical` should be a list of feature names")
    if len(set(names)) != len(names):
        raise source.refusal("categorical", "`categorical` names a feature twice")
    return tuple(sorted(names))


def _baseline(source: _Source, name: object, categorical: tuple[str, ...]) -> str:
    if not isinstance(name, str):
        raise source.refusal("baseline", "`baseline` should be the name of one feature")
    if name in categorical:
        raise source.refusal("baseline", f"`baseline` is `{name}`, whose numbers are codes; name one that is a score")
    return name


def _tunables(source: _Source, options: object) -> tuple[tuple[str, Value], ...]:
    if not isinstance(options, dict):
        raise source.refusal(_TABLE, f"`{_TABLE}` should be a table")
    for name, value in options.items():
        if name not in TUNABLES:
            raise source.refusal(name, _why_not(name), _TABLE)
        if name == "boosting" and value == "goss":
            raise source.refusal(name, f"boosting = 'goss' is refused: {REFUSED['data_sample_strategy']}", _TABLE)
        _check(source, name, value, TUNABLES[name](value), _TABLE)
    if options.get("bagging_fraction", 1) != 1 and not options.get("bagging_freq"):
        raise source.refusal("bagging_fraction", "`bagging_fraction` does nothing without `bagging_freq`", _TABLE)
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


def _line_of(text: str, key: str, table: str) -> int:
    """Find the line that sets `key` in `table`, else the first that names it; 1 if none does."""
    lines = tuple(_lines(text))
    setting = rf"""\s*["']?{re.escape(key)}["']?\s*[=.]"""
    set_here = [number for number, inside, line in lines if inside == table and re.match(setting, line)]
    named = [number for number, _, line in lines if re.search(rf"\b{re.escape(key)}\b", line.partition("#")[0])]
    return next(iter([*set_here, *named]), 1)


def _lines(text: str) -> Iterator[tuple[int, str, str]]:
    """Each line with its number and the table that it stands in."""
    inside = ""
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[\s*([^\]]+?)\s*\]", line)
        inside = header[1].strip("\"'") if header else inside
        yield number, inside, line
