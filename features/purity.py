"""The lint of this room: refuses what could make a feature depend on anything but the rows.

That is float reductions, results that depend on the order of rows or threads, the clock, the host, the disk, and
imports that could bring them. It reads the source and runs nothing; `tests/features/test_purity.py` runs it over every
module here. A line that is exact for a reason the lint cannot see says so at its end: `# exact: the reason`.
"""

from __future__ import annotations

import ast
import io
import tokenize
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_WAIVER = "# exact:"

_PURE = """
    __future__ ast collections dataclasses dataframely datetime enum features fractions functools hashlib importlib io
    itertools json math polars tokenize typing zoneinfo
"""

_FLOATS = "a float reduction depends on its order: sum integers with `exact.total`, divide once with `exact.ratio`"
_ORDER = "its result depends on the order of the rows: say at the end of the line what orders them, ties included"
_TIES = "it leaves ties open: use `versions.newest`, `lastknown.last_known`, or `exact.in_order` with the whole key"
_RANDOM = "it draws by position: draw from a hash of (seed, key, column) that we define"
_HASH = "an engine's or Python's hash changes with version and process: use hashlib"
_CLOCK = "the clock and the host are read at the edge: take the cutoff as an argument"
_DISK = "frames in, frames out: jobs reads and writes"
_OPAQUE = "the lint cannot see what runs: write it as an expression"
_KEPT = "it leaves rows in any order: pass maintain_order"
_TYPES = "use text and codes learnt at training (`fitted`), and Float64"

_REDUCE_FLOATS = """
    mean std var skew kurtosis product dot corr cov mean_horizontal sum_horizontal cum_prod entropy interpolate
    interpolate_by truediv
"""
_BY_POSITION = """
    shift diff pct_change forward_fill backward_fill rle rle_id cum_count cum_max cum_min cum_sum cumulative_eval
    with_row_index int_range gather gather_every head tail limit slice implode reverse join_asof peak_max peak_min
    is_first_distinct is_last_distinct
"""
_OPEN_TIES = """
    first last sort sort_by rank mode top_k bottom_k top_k_by bottom_k_by arg_sort arg_sort_by arg_max arg_min min_by
    max_by search_sorted merge_sorted
"""
_UNSEEN = "map_elements map_batches map_groups map_rows sql pivot register_plugin_function fold reduce pipe"


def _each(names: str, advice: str) -> Mapping[str, str]:
    return dict.fromkeys(names.split(), advice)


_METHODS: Mapping[str, str] = {
    **_each(_REDUCE_FLOATS, _FLOATS),
    **_each(_BY_POSITION, _ORDER),
    **_each(_OPEN_TIES, _TIES),
    **_each("sample shuffle", _RANDOM),
    **_each("hash hash_rows approx_n_unique", _HASH),
    **_each("now utcnow today time_ns getenv urandom uuid4", _CLOCK),
    **_each("open read_text read_bytes write_text write_bytes", _DISK),
    **_each(_UNSEEN, _OPAQUE),
    **_each("value_counts group_by_dynamic", _KEPT),
}
_STARTS: Mapping[str, str] = {**_each("rolling ewm_", _FLOATS), **_each("read_ scan_ sink_ write_", _DISK)}
_NAMES: Mapping[str, str] = {
    **_each("sum", _FLOATS),
    **_each("hash id", _HASH),
    **_each("open print input", _DISK),
    **_each("getattr eval exec compile __import__", _OPAQUE),
}
_ATTRIBUTES: Mapping[str, str] = {
    **_each("Categorical Float32 Float16 StringCache", _TYPES),
    **_each("SQLContext", _OPAQUE),
    **_each("environ", _CLOCK),
}
_OUTSIDE = """
    _io asyncio builtins concurrent ctypes duckdb fileinput ftplib glob http logging mmap multiprocessing os pathlib
    pickle posix requests runpy shelve shutil signal smtplib socket sqlite3 ssl subprocess sys tempfile threading urllib
"""
_KEEP_ORDER = frozenset({"group_by", "unique", "join", "partition_by"})


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing refused: where it stands, what it is, and what to do."""

    path: str
    line: int
    what: str
    advice: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}: {self.advice}"


def findings(source: str, path: str) -> tuple[Finding, ...]:
    """What is refused in the source of one module, by line; a waiver without a finding is one itself."""
    tree = ast.parse(source, path)
    waived = _waivers(source)
    found = {Finding(path, line, what, advice) for line, what, advice in _refused(tree)}
    kept = {finding for finding in found if finding.line not in waived}
    idle = waived - {finding.line for finding in found}
    return tuple(sorted(kept | {Finding(path, line, "waiver", "nothing is refused here: remove it") for line in idle}))


def reaching_out(source: str, path: str) -> tuple[Finding, ...]:
    """What of the findings would touch the disk, a terminal, the network or the process: no module may, once loaded."""
    return tuple(each for each in findings(source, path) if each.advice == _DISK or _imports_outside(each))


def _imports_outside(finding: Finding) -> bool:
    what, _, module = finding.what.partition("import ")
    return not what and module.partition(".")[0] in _OUTSIDE.split()


def _waivers(source: str) -> set[int]:
    """The lines that end in a waiver with a reason."""
    comments = (
        token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type == tokenize.COMMENT
    )
    return {token.start[0] for token in comments if token.string.partition(_WAIVER)[2].strip()}


def _refused(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """Line, what stands there, and what to do instead."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from _imported(node, [alias.name for alias in names])
            case ast.ImportFrom(level=1):
                pass  # of the same room, which is read too
            case ast.ImportFrom(module=module, level=level):
                yield from _imported(node, ["." * level + (module or "")])
            case ast.Call(func=ast.Attribute(attr=name)):
                yield from _called(node, name)
            case ast.Call(func=ast.Name(id=name)) if name in _NAMES:
                yield node.lineno, f"{name}()", _NAMES[name]
            case ast.Attribute(attr=name) if name in _ATTRIBUTES:
                yield _line(node), name, _ATTRIBUTES[name]
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                yield node.lineno, "/", "the one division is `exact.ratio` or `exact.scaled`"
            case ast.For(iter=over) | ast.comprehension(iter=over) if _is_set(over):
                yield over.lineno, "loop over a set", "its order changes with the process: sort it"


def _imported(node: ast.stmt, modules: list[str]) -> Iterator[tuple[int, str, str]]:
    for module in modules:
        if module.partition(".")[0] not in _PURE.split():
            yield node.lineno, f"import {module}", "this room knows polars, dataframely and a few pure standard modules"


def _called(node: ast.Call, name: str) -> Iterator[tuple[int, str, str]]:
    line, what = _line(node.func), f".{name}()"
    given = {keyword.arg for keyword in node.keywords}
    if name == "sum" and not _is_of_integers(node.func):
        yield line, what, _FLOATS
    if name in _METHODS:
        yield line, what, _METHODS[name]
    for start, advice in _STARTS.items():
        if name.startswith(start) and name not in _METHODS:
            yield line, what, advice
    if name in _KEEP_ORDER and "maintain_order" not in given and not _is_text_join(node):
        yield line, what, _KEPT
    if name == "unique" and (node.args or "subset" in given):
        yield line, what, _TIES
    if name == "collect" and "engine" in given:
        yield line, what, "engines disagree: collect with the default one"


def _line(node: ast.expr) -> int:
    """The line on which a name stands, in a chain over several lines."""
    return node.end_lineno or node.lineno


def _is_of_integers(function: ast.expr) -> bool:
    """Whether it is `….cast(pl.Int64).sum`, so that no float can be summed."""
    match function:
        case ast.Attribute(
            value=ast.Call(func=ast.Attribute(attr="cast"), args=[ast.Attribute(attr="Int64" | "Int128")])
        ):
            return True
    return False


def _is_text_join(node: ast.Call) -> bool:
    """Whether it is `", ".join(…)`, and no join of frames."""
    match node.func:
        case ast.Attribute(value=ast.Constant(), attr="join"):
            return True
    return False


def _is_set(node: ast.expr) -> bool:
    match node:
        case ast.Set() | ast.SetComp() | ast.Call(func=ast.Name(id="set" | "frozenset")):
            return True
    return False
