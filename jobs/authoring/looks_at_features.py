"""Looks at a job's feature module: its source, what it offers, and what it makes of tables without rows."""

from __future__ import annotations

import ast
import traceback
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.contract import ColumnsDiffer
from features.fitted import TransformRefused, columns_after, declared
from features.purity import findings
from jobs.authoring.problems import Problem, problem_of
from jobs.modules import load_features
from jobs.queries.declaration import Role
from models.parameter_file import line_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import polars as pl

    from features.contract import FeatureSet
    from jobs.authoring.case import Case
    from jobs.definition import FeatureModule, Job

_A_NIGHT = date(2024, 3, 5)
_BUILDS = ("tables", "cutoffs", "only")
_LABELS = ("tables", "cutoffs")
_LABEL = "label"
_HORIZON = "HORIZON_DAYS"
_NO_TABLE = object()  # marks a KeyError as one of a table


class _Tables(dict[str, Any]):
    """The tables of a job, which tell a missing table from a missing column."""

    def __missing__(self, name: str) -> None:
        raise KeyError(_NO_TABLE, name)


def source(case: Case) -> Iterator[Problem]:
    """It can be parsed, says literally what it offers, and nothing in it depends on more than rows."""
    path = case.module_file
    if not path.is_file():
        yield Problem(
            str(case.toml), _line_in(case.toml, "features"), f"`features` names {path}, and it is not there", "write it"
        )
        return
    try:
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text, str(path))
    except UnicodeDecodeError:
        yield Problem(str(path), 0, "it is not UTF-8", "save it as UTF-8")
        return
    except SyntaxError as error:
        yield Problem(str(path), error.lineno or 0, f"it is no Python: {error.msg}", "correct it")
        return
    yield from (Problem(each.path, each.line, each.what, each.advice) for each in findings(text, str(path)))
    yield from _literals(tree, path)
    yield from _functions(tree, path)


def _literals(tree: ast.Module, path: Path) -> Iterator[Problem]:
    """FEATURE_SET and KEY stand there as they are, where a reader looks for them."""
    values = dict(_assigned(tree))
    feature_set, key = values.get("FEATURE_SET"), values.get("KEY")
    if feature_set is None:
        yield Problem(str(path), 1, "it has no FEATURE_SET", "write FEATURE_SET = FeatureSet(name=..., version=1, ...)")
    elif not (isinstance(feature_set, ast.Call) and _called(feature_set) == "FeatureSet"):
        yield Problem(
            str(path), feature_set.lineno, "FEATURE_SET is no literal",
            "write FEATURE_SET = FeatureSet(name=..., version=1, features=(...)) at the top of the module",
        )  # fmt: skip
    if key is None:
        yield Problem(str(path), 1, "it has no KEY", "write KEY = (...): the job's key columns")


def _assigned(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        if isinstance(node, ast.Assign):
            yield from ((target.id, node.value) for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            yield node.target.id, node.value


def _called(call: ast.Call) -> str:
    function = call.func
    return (
        function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
    )


def _functions(tree: ast.Module, path: Path) -> Iterator[Problem]:
    """The two functions are there and can be called as the engine calls them."""
    there = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    brought = {
        alias.asname or alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assigned = {name for name, _ in _assigned(tree)}
    for name, wanted in (("build_features", _BUILDS), ("labels", _LABELS)):
        if name in there:
            found = tuple(each.arg for each in (*there[name].args.posonlyargs, *there[name].args.args))
            missing_default = name == "build_features" and not there[name].args.defaults
            if found != wanted or missing_default:
                shown = "tables, cutoffs, only=None" if name == "build_features" else "tables, cutoffs"
                yield Problem(
                    str(path), there[name].lineno, f"{name} takes ({', '.join(found)})", f"define {name}({shown})"
                )
        elif name not in brought | assigned:
            yield Problem(str(path), 1, f"it has no {name}", f"define {name}({', '.join(wanted)}, ...)")


def module(case: Case) -> Iterator[Problem]:
    """It can be imported, and its key is the job's."""
    path = case.module_file
    if not path.is_file() or case.module_name is None:
        return
    try:
        case.module = load_features(case.project, case.module_name)
    except Exception as error:  # noqa: BLE001  whatever somebody's module raises
        yield problem_of(error, path, _line_of_error(error, path))
        return
    if case.module is None or case.job is None:
        return
    if case.job.key != case.module.KEY:
        yield Problem(
            str(path), line_of_name(path, "KEY"), f"KEY is {_listed(case.module.KEY)}, and `key` in "
            f"{case.toml.name} is {_listed(case.job.key)}", "write the same columns in the same order in both",
        )  # fmt: skip
    yield from _horizon(case, case.job)
    case.said.append(f"{len(case.module.FEATURE_SET.names)} features")


def _horizon(case: Case, job: Job) -> Iterator[Problem]:
    """A module that says how far its label looks ahead, as those of `score new` do, says it as the job does."""
    horizon = getattr(case.module, _HORIZON, job.horizon_days)
    if horizon != job.horizon_days:
        yield Problem(
            str(case.module_file), line_of_name(case.module_file, _HORIZON),
            f"{_HORIZON} is {horizon}, and `horizon_days` in {case.toml.name} is {job.horizon_days}",
            "write the same number in both: the label, and when it is known",
        )  # fmt: skip


def windows(case: Case) -> Iterator[Problem]:
    """No window reaches further back than the SQL, and none is half empty on the first night that is trained on."""
    from features.trailing import Trailing  # noqa: PLC0415  it loads Polars, and not every look needs it

    if case.module is None or case.job is None or not case.whole:
        return
    lookback = max((query.declaration.lookback_days or 0 for query in case.queries.values()), default=0)
    for name, value in vars(case.module).items():
        longest = max(value.days) if isinstance(value, Trailing) and value.days else 0
        line = line_of_name(case.module_file, name)
        if longest > lookback:
            yield Problem(
                str(case.module_file), line, f"a window of {name} is {longest} days, and the SQL looks back {lookback}",
                "shorten the window, or write a version of the SQL that looks back further",
            )  # fmt: skip
        elif longest > case.job.training.warm_up_days:
            yield Problem(
                str(case.toml), _line_in(case.toml, "warm_up_days", "training"),
                f"training.warm_up_days is {case.job.training.warm_up_days}, and a window of {name} is {longest} days",
                f"set it to {longest}: nights before would learn from windows that are half empty",
            )  # fmt: skip


def empty(case: Case) -> Iterator[Problem]:
    """Of tables without rows, as the SQL declares them, features and labels have their declared columns and no row."""
    if case.module is None or case.job is None or not case.whole:
        return
    tables = _no_rows(case)
    yield from _built(case, case.module, case.job, tables)
    yield from _labelled(case, case.module, case.job, tables)


def _no_rows(case: Case) -> dict[str, pl.LazyFrame]:
    """The tables as a snapshot gives them, each without a row."""
    from jobs.warehouse.engine import connect  # noqa: PLC0415  as above

    tables = _Tables()
    with connect() as con:
        for table, query in case.queries.items():
            days = ["CAST(NULL AS DATE) AS event_day", "CAST(NULL AS DATE) AS visible_day"]
            columns = [f'CAST(NULL AS {column.type_sql}) AS "{column.name}"' for column in query.columns]
            tables[table] = con.sql(f"SELECT {', '.join([*days, *columns])} LIMIT 0").pl().lazy()
    return tables


def _built(case: Case, offered: FeatureModule, job: Job, tables: Mapping[str, pl.LazyFrame]) -> Iterator[Problem]:
    roles = {name: query.declaration.role for name, query in case.queries.items()}
    seen = _Tables({name: rows for name, rows in tables.items() if roles[name] is not Role.LABELS})
    try:
        frame = offered.build_features(seen, [job.cutoff(_A_NIGHT)])
        offered.FEATURE_SET.conform(frame, job.key)
    except Exception as error:  # noqa: BLE001  whatever somebody's module raises
        yield _of_tables(error, case, "build_features")
        return
    yield from _rows_of_nothing(case, frame, "build_features")


def _labelled(case: Case, offered: FeatureModule, job: Job, tables: Mapping[str, pl.LazyFrame]) -> Iterator[Problem]:
    try:
        frame = offered.labels(tables, [job.cutoff(_A_NIGHT)])
    except Exception as error:  # noqa: BLE001  as above
        yield _of_tables(error, case, "labels")
        return
    line, wanted = line_of_name(case.module_file, "labels"), ["as_of", *job.key, _LABEL]
    if frame.columns != wanted:
        yield Problem(
            str(case.module_file), line, f"labels gives the columns {', '.join(frame.columns)}",
            f"give {', '.join(wanted)}",
        )  # fmt: skip
        return
    dtype = frame.schema[_LABEL]
    if not (dtype.is_integer() or dtype.is_float() or str(dtype) == "Boolean"):
        yield Problem(str(case.module_file), line, f"the label is {dtype}", "give a number")
    elif case.parameters and case.parameters.objective == "binary" and dtype.is_float():
        yield Problem(
            str(case.module_file), line, f"the label is {dtype}, and the objective in {case.model_toml.name} is binary",
            "give 0 and 1 as Int8, or set the objective to regression",
        )  # fmt: skip
    yield from _rows_of_nothing(case, frame, "labels")


def _rows_of_nothing(case: Case, frame: pl.DataFrame, function: str) -> Iterator[Problem]:
    if frame.height:
        yield Problem(
            str(case.module_file), line_of_name(case.module_file, function),
            f"{function} makes {frame.height} rows of tables without rows", "every row stands for an entity of a table",
        )  # fmt: skip


def _of_tables(error: Exception, case: Case, function: str) -> Problem:
    """What was raised over tables that are as the SQL declares them."""
    import polars as pl  # noqa: PLC0415  as above

    path = case.module_file
    line = _line_of_error(error, path) or line_of_name(path, function)
    if isinstance(error, KeyError) and error.args[0] is _NO_TABLE:
        return Problem(
            str(path), line, f"{function} asks for the table {error.args[1]!r}; there is {', '.join(case.queries)}",
            f"add it to [sql] in {case.toml.name}, or correct its name",
        )  # fmt: skip
    if isinstance(error, (pl.exceptions.ColumnNotFoundError, KeyError)):
        first, *_ = str(error.args[0]).splitlines()
        name = first.removeprefix("unable to find column ").split(";")[0].strip("\"'")
        return Problem(
            str(path), line, f"{function} asks for the column `{name}`, which no table has here",
            f"select it in a version of the SQL in {case.sql}, or correct its name",
        )  # fmt: skip
    if isinstance(error, ColumnsDiffer):
        return Problem(
            str(path), line, f"{function} gives {str(error).partition('. ')[0]}",
            "FEATURE_SET declares every computed column in the same order (*TRAILING.features(): those of TRAILING)",
        )  # fmt: skip
    found = problem_of(error, path, line)
    return Problem(str(path), line, f"{function}, of tables without rows: {found.problem}", found.what_to_do)


def transforms(case: Case) -> Iterator[Problem]:
    """The fitted transforms are for features that are there, of types that they can change."""
    if case.module is None:
        return
    try:
        _model_columns(case.module)
    except TransformRefused as error:
        line = line_of_name(case.module_file, "TRANSFORMS")
        yield Problem(str(case.module_file), line, str(error), "correct TRANSFORMS, or declare the feature")


def _model_columns(module: FeatureModule) -> FeatureSet:
    return columns_after(declared(getattr(module, "TRANSFORMS", ()), module.FEATURE_SET), module.FEATURE_SET)


def categories(case: Case) -> Iterator[Problem]:
    """The features that the model's TOML names exist, and categorical ones are whole numbers once text became codes."""
    if case.module is None or case.parameters is None:
        return
    line, schema = _line_in(case.model_toml, "categorical"), case.module.FEATURE_SET.schema
    with suppress(TransformRefused):  # which is told already
        schema = _model_columns(case.module).schema
    for name in case.parameters.categorical:
        if name not in schema:
            yield Problem(
                str(case.model_toml), line, f"`categorical` names {name}, which is no feature",
                f"features are declared in FEATURE_SET of {case.module_file}",
            )  # fmt: skip
        elif schema[name].is_float():
            yield Problem(
                str(case.model_toml), line, f"`categorical` names {name}, which is {schema[name]}",
                "only text and whole numbers are codes",
            )  # fmt: skip
    if case.parameters.baseline and case.parameters.baseline not in schema:
        yield Problem(
            str(case.model_toml), _line_in(case.model_toml, "baseline"),
            f"`baseline` names {case.parameters.baseline}, which is no feature",
            f"features are declared in FEATURE_SET of {case.module_file}",
        )  # fmt: skip


def members(case: Case) -> Iterator[Problem]:
    """What the members of the model's TOML learn from exists, where no transform may have made it."""
    if case.module is None or case.parameters is None:
        return
    transformed = bool(getattr(case.module, "TRANSFORMS", ()))
    for member in () if transformed else case.parameters.members:
        try:
            member.choose(case.module.FEATURE_SET.names)
        except LookupError as error:
            line = _line_in(case.model_toml, member.name)
            said = f"features are declared in FEATURE_SET of {case.module_file}"
            yield Problem(str(case.model_toml), line, str(error.args[0]), said)


def _line_of_error(error: BaseException, path: Path) -> int:
    """The last line of the module that an exception came through."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((each.lineno or 0 for each in reversed(frames) if Path(each.filename) == path), 0)


def line_of_name(path: Path, name: str) -> int:
    """Where a module defines a name; 1 if it does not by itself."""
    with suppress(SyntaxError, UnicodeDecodeError, OSError):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name == name:
                return node.lineno
            if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
                return node.lineno
    return 1


def _line_in(path: Path, name: str, table: str = "") -> int:
    with suppress(OSError, UnicodeDecodeError):
        return line_of(path.read_text(encoding="utf-8"), name, table)
    return 0


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names)
