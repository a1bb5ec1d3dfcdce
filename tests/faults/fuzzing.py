"""Nonsense, at random: what users and files can feed the program, damaged models, flipped bits."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import string
from collections import Counter
from contextlib import ExitStack, chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from unittest.mock import patch

from jobs import project
from jobs.cli import call
from jobs.definition import load_job
from jobs.evidence.inspecting import inspect_store
from jobs.exits import CODES, failure_of, known_failures
from jobs.steps.scoring import load_model
from jobs.store.home import Home
from jobs.store.registry import read_version, version_folder, version_names
from models import booster
from models.parameters import parse_parameters
from tests.jobs.evidence.tampering import forge_version, one_ulp_more

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.place import Place

BUG = 70
JOB = "flight_delay"
_COMMANDS = (
    "run", "backfill", "snapshot", "verify", "diff", "mutations", "models", "runs", "snapshots", "show", "sql",
    "promote", "rollback", "skip", "release",
)  # fmt: skip
_OPTIONS = (
    "--as-of", "--until", "--model", "--publish", "--hindsight", "--restate", "--wait", "--threads", "--since", "--top",
    "--snapshot", "--from", "--reason", "--unproven", "--all", "--fresh", "--only", "--wat", "-x", "--", "-",
)  # fmt: skip
_ODD = (
    "", " ", "\n", "a\nb", "../../etc/passwd", "/etc/passwd", "x" * 300, "'; DROP TABLE runs; --",
    "%s%n", "\udc80", "é", "\u202e",
    "0", "-1", "1e309", "NaN", "null", "{}", "*", "~", "ff", "$HOME", "`id`", "\\", '"', "2013-04-11", "11",
)  # fmt: skip
_DATES = (
    "2013-02-30", "0000-00-00", "9999-12-31", "2013-4-1", "2013-04-11T00:00", "20130411", "yesterday", "-1", "2013-W15",
    "1-1-1", "\u0662\u0660\u0661\u0663-\u0660\u0664-\u0661\u0661", "2013-04-11 ",
    "0001-01-01", "1970-01-01", "2013-13-01", "+2013-04-11",
)  # fmt: skip
_QUERY = (
    "SELECT", "*", "FROM", "flight_delay", "flight_delay_latest", "publications", "runs", "WHERE", "as_of", "=", "(",
    ")", "'2013-04-11'", "1", "/", "0", "GROUP BY", "ALL", "ORDER BY", ",", ";", "--", "\n", "error('x')", "NULL",
    "::INTEGER", "UNION", "JOIN", "read_parquet", "'/nowhere'", "DROP TABLE", "INSERT INTO", "DELETE FROM", "range(3)",
)  # fmt: skip


@dataclass
class Fuzzed:
    """What came of it: inputs by kind, exit codes, and what must not be."""

    kinds: Counter[str] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Bench:
    """Where inputs are tried: a home with one published night, a folder beside it that must stay empty, the chances."""

    place: Place
    outside: Path
    chance: random.Random

    @property
    def home(self) -> Home:
        """The home, for whoever asks it without the command line."""
        return Home(self.place.home)

    def odd(self) -> str:
        """A text that nobody expects."""
        if self.chance.random() < 0.5:
            return self.chance.choice(_ODD)
        return "".join(self.chance.choices(string.printable + "é√🛫", k=self.chance.randrange(40)))

    def night(self) -> str:
        """A date, or none."""
        return self.chance.choice([*_DATES, "2013-04-11", self.odd()])

    def mutated(self, content: bytes) -> bytes:
        """The content with a few bits, bytes or pieces of it changed; never the same."""
        changed = bytearray(content)
        for _ in range(self.chance.randrange(1, 4)):
            self.chance.choice([_flip, _cut, _swap, _repeat, _replace])(changed, self.chance)
        return bytes(changed) if bytes(changed) != content else content + b"x"

    def mutated_text(self, text: str) -> str:
        """A text with words or characters changed."""
        words = text.split(" ")
        at = self.chance.randrange(len(words))
        words[at] = self.chance.choice(["", self.odd(), words[self.chance.randrange(len(words))], words[at] * 2])
        return " ".join(words)


def _flip(content: bytearray, chance: random.Random) -> None:
    if content:
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def _cut(content: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(content) + 1)
    del content[at : at + chance.choice([1, 10, 10_000_000])]


def _swap(content: bytearray, chance: random.Random) -> None:
    if content:
        one, other = chance.randrange(len(content)), chance.randrange(len(content))
        content[one], content[other] = content[other], content[one]


def _repeat(content: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(content) + 1)
    content[at:at] = content[at : at + 50]


def _replace(content: bytearray, chance: random.Random) -> None:
    content[:] = chance.choice([b"", b"{}", b"null\n", b"\x00" * 20, b"[" * 5000, bytes(content[::-1])])


type Try = tuple[list[str], dict[str, str], ExitStack]


def _arguments(bench: Bench) -> Try:
    choices = [*_OPTIONS, *_ODD, JOB, bench.odd()]
    return (
        [bench.chance.choice(_COMMANDS), *bench.chance.choices(choices, k=bench.chance.randrange(6))],
        {},
        ExitStack(),
    )


def _dates(bench: Bench) -> Try:
    command = bench.chance.choice(
        [["run", "--as-of"], ["backfill", "--as-of"], ["snapshot", "--as-of"], ["mutations", "--since"],
         ["skip", "--reason", "x", "--as-of"], ["runs", "--as-of"], ["promote", "v", "--reason", "x", "--from"]]
    )  # fmt: skip
    return [*command, bench.night()], {}, ExitStack()


def _names(bench: Bench) -> Try:
    command = bench.chance.choice(
        [["run"], ["models"], ["promote", "--reason", "x"], ["runs"], ["snapshots"], ["show"]]
    )
    return [*command, bench.odd()], {}, ExitStack()


def _prefixes(bench: Bench) -> Try:
    real = bench.chance.choice([*(p.name for p in bench.place.home.glob("*/*/*/*")), "f" * 64])
    part = bench.chance.choice([real[: bench.chance.randrange(70)], real.upper(), real[::-1], bench.odd()])
    command = bench.chance.choice([["show"], ["diff", part], ["sql", "SELECT 1", "--snapshot"], ["verify"]])
    return [*command, part], {}, ExitStack()


def _queries(bench: Bench) -> Try:
    words = bench.chance.choices([*_QUERY, bench.odd()], k=bench.chance.randrange(1, 12))
    asked = bench.chance.choice(["SELECT * FROM runs WHERE " + " ".join(words), " ".join(words)])
    return ["sql", asked], {}, ExitStack()


def _environment(bench: Bench) -> Try:
    name = bench.chance.choice(["SCORE_TODAY", "SCORE_WAREHOUSE", "SCORE_THREADS", "SCORE_KILL_AT", "SCORE_HOME"])
    value = bench.odd().replace("\0", "") or "x"  # nothing would be the clock's date, and many nights to catch up
    if name == "SCORE_HOME":
        value = f"{bench.place.folder}/homes/{value.replace('..', '')}"
    command = bench.chance.choice([["run"], ["runs"], ["snapshot", "--as-of", "2013-04-11"], ["sql", "SELECT 1"]])
    return command, {name: value}, ExitStack()


def _file(bench: Bench, path: Path, commands: list[list[str]], content: bytes | None = None) -> Try:
    """A file that is another one while the program runs."""
    stack, before, mode = ExitStack(), path.read_bytes(), path.stat().st_mode
    path.chmod(0o644)
    path.write_bytes(bench.mutated(before) if content is None else content)
    stack.callback(path.chmod, mode)
    stack.callback(path.write_bytes, before)
    return bench.chance.choice(commands), {}, stack


def _documents(bench: Bench, *patterns: str) -> Try:
    found = [path for pattern in patterns for path in sorted(bench.place.home.glob(pattern))]
    commands = [["run", "--as-of", "2013-04-11"], ["runs"], ["models"], ["snapshots"], ["sql", "SELECT 1"]]
    return _file(bench, bench.chance.choice(found), commands)


def _manifests(bench: Bench) -> Try:
    return _documents(bench, "runs/*/*/*/*.json", "models/*/*/*.json", "snapshots/*/*/*/*.json")


def _events(bench: Bench) -> Try:
    return _documents(bench, "events/*/*.json")


def _format(bench: Bench) -> Try:
    return _documents(bench, "format.json")


def _job_toml(bench: Bench) -> Try:
    path = bench.place.folder / "jobs" / f"{JOB}.toml"
    if not path.exists():
        path.parent.mkdir()
        shutil.copy(project._HERE / path.name, path)
    text = bench.mutated_text(path.read_text()).encode(errors="replace")
    content = bench.chance.choice([text, bench.mutated(path.read_bytes())])
    tried = _file(bench, path, [["run", "--as-of", "2013-04-11"], ["runs"], ["models"]], content)
    tried[2].enter_context(patch.object(project, "_HERE", path.parent))
    root = project.sql_root()
    tried[2].enter_context(patch.object(project, "sql_root", lambda: root))
    return tried


def _sql(bench: Bench, name: str, command: list[str]) -> Try:
    folder = bench.place.folder / "sql"
    if not folder.exists():
        shutil.copytree(project.sql_root(), folder)
    path = folder / JOB / name
    text = bench.mutated_text(path.read_text()).encode(errors="replace")
    tried = _file(bench, path, [command], bench.chance.choice([text, bench.mutated(path.read_bytes())]))
    tried[2].enter_context(patch.object(project, "sql_root", lambda: folder))
    return tried


def _released(bench: Bench) -> Try:
    return _sql(bench, "released.txt", ["snapshot", "--as-of", "2013-04-11"])


def _declarations(bench: Bench) -> Try:
    names = ["outcomes_v1.sql", "timetable_v1.sql", "weather_v1.sql", "planes_v1.sql", "labels_v1.sql"]
    tried = _sql(bench, bench.chance.choice(names), ["release"])
    listed = bench.place.folder / "sql" / JOB / "released.txt"
    before = listed.read_bytes()
    listed.unlink()
    tried[2].callback(listed.write_bytes, before)
    return tried


KINDS = (
    _arguments, _dates, _names, _prefixes, _queries, _environment, _manifests, _events, _format, _job_toml, _released,
    _declarations,
)  # fmt: skip


def fuzz_inputs(place: Place, outside: Path, count: int, seed: int) -> Fuzzed:
    """Try so many inputs, of each kind in turn; and parameters of models, which only training reads.

    `outside` is an empty folder in which the program works, and where it has to leave nothing.
    """
    bench, found = Bench(place, outside, random.Random(seed)), Fuzzed()  # noqa: S311  nonsense, no secret
    with chdir(outside):
        for number in range(count):
            kind = (*KINDS, None)[number % (len(KINDS) + 1)]
            if kind is None:
                _model_toml(bench, found)
            else:
                _call(bench, found, kind)
    if written := list(outside.iterdir()):
        found.wrong.append(f"written outside of SCORE_HOME: {written}")
    return found


def _call(bench: Bench, found: Fuzzed, kind: Callable[[Bench], Try]) -> None:
    arguments, more, stack = kind(bench)
    as_json = bench.chance.random() < 0.5
    given = [*arguments, "--json"] if as_json and "--" not in arguments else arguments
    out, err = io.StringIO(), io.StringIO()
    variables = patch.dict(os.environ, {**bench.place.environ(), "SCORE_TODAY": "2013-04-11", **more})
    with stack, variables, redirect_stdout(out), redirect_stderr(err):
        code = call(given)
    found.kinds[kind.__name__.strip("_")] += 1
    found.codes[code] += 1
    if said := _wrong(code, out.getvalue(), err.getvalue(), as_json="--json" in given):
        found.wrong.append(f"{kind.__name__} {given!r} {more!r}: {code}, {said}: {err.getvalue()[:300]!r}")


def _wrong(code: int, out: str, err: str, *, as_json: bool) -> str | None:
    """What is wrong with how a call ended; null if nothing is."""
    if code not in CODES or code == BUG:
        return "no code of the table"
    if "Traceback" in out + err:
        return "a traceback"
    if code and len([line for line in err.split("\n") if line.strip()]) != 1:
        return "not one line on stderr"
    if as_json:
        try:
            json.loads(out)
        except ValueError:
            return f"not one document on stdout: {out[:200]!r}"
    return None


def _model_toml(bench: Bench, found: Fuzzed) -> None:
    text = (load_job(JOB).models_folder / f"{JOB}.toml").read_text(encoding="utf-8")
    try:
        parse_parameters(bench.mutated_text(text), "models/x.toml")
        code = 0
    except known_failures() as error:
        failure = failure_of(error)
        code = failure.code if failure else BUG
    except Exception as error:  # noqa: BLE001  that is what is looked for
        code = BUG
        found.wrong.append(f"model parameters: {error!r}")
    found.kinds["model_toml"] += 1
    found.codes[code] += 1


def fuzz_models(place: Place, count: int, seed: int) -> Fuzzed:
    """Load so many damaged versions: each is refused with 80 before the library is called at all."""
    bench, found = Bench(place, place.folder, random.Random(seed)), Fuzzed()  # noqa: S311  nonsense, no secret
    home = bench.home
    name = version_names(home, JOB)[0]
    other = forge_version(place.home, one_ulp_more)
    folder, beside = version_folder(home, read_version(home, JOB, name)), version_folder(home, other)
    reached: list[object] = []
    with patch.object(booster, "Loaded", lambda *_, **__: reached.append(1)):
        for number in range(count):
            path = folder / ("manifest.json" if number % 4 == 0 else "model.txt")
            before = path.read_bytes()
            replaced = bench.chance.random() < 0.1
            path.write_bytes((beside / path.name).read_bytes() if replaced else bench.mutated(before))
            code = _loaded(home, name)
            path.write_bytes(before)
            found.kinds[f"{'replaced' if replaced else 'damaged'} {path.name}"] += 1
            found.codes[code] += 1
            if code != 80 or reached:
                found.wrong.append(f"number {number}, {path.name}: {code}, reached {len(reached)}")
                reached.clear()
    shutil.rmtree(beside)
    return found


def _loaded(home: Home, name: str) -> int:
    try:
        load_model(home, read_version(home, JOB, name))
    except known_failures() as error:
        failure = failure_of(error)
        return failure.code if failure else BUG
    return 0


def evidence(home: Path) -> dict[bool, list[Path]]:
    """Every stored file by whether others are judged by it; not locks, nor what is built anew, nor logs."""
    left_out = {"locks", "scores.duckdb", "staging", "log"}
    files = [p for p in sorted(home.rglob("*")) if p.is_file() and p.relative_to(home).parts[0] not in left_out]
    judges = {"manifest.json", "golden_night.json", "format.json"}
    return {each: [p for p in files if (p.name in judges or p.parts[-3] == "events") is each] for each in (True, False)}


def fuzz_bits(place: Place, count: int, seed: int, asked: int) -> Fuzzed:
    """Flip so many bits: each is found with the file's name. After some, a backfill: 80, or the same bytes.

    One bit in every file that judges no other, all at once; then one in one that does. Objects that no manifest names
    any more are judged by their rows.
    """
    chance, found = random.Random(seed), Fuzzed()  # noqa: S311  nonsense, no secret
    files, home = evidence(place.home), Home(place.home)
    while sum(found.kinds.values()) < count:
        flipped = chance.sample(files[False], min(len(files[False]), count))
        _flipped_and_found(home, flipped, chance, found)
        for path in chance.sample(files[True], min(len(files[True]), 5)):
            if path.name != "format.json":
                _flipped_and_found(home, [path], chance, found)
    facts = place.facts()
    for _ in range(asked):
        path = chance.choice([*files[True], *files[False]])
        _flipped_and_asked(place, path, chance, found, facts)
    return found


def _flipped_and_found(home: Home, paths: list[Path], chance: random.Random, found: Fuzzed) -> None:
    before = {path: path.read_bytes() for path in paths}
    for path in paths:
        _write_flipped(path, before[path], chance)
    failures = inspect_store(home)
    for path in paths:
        path.write_bytes(before[path])
        found.kinds[path.relative_to(home.root).parts[0]] += 1
        named = [failure.code for failure in failures if str(path) in failure.message]
        found.codes[named[0] if named else 0] += 1
        if named != [80]:
            found.wrong.append(f"{path}: {named}")


def _write_flipped(path: Path, content: bytes, chance: random.Random) -> None:
    changed = bytearray(content)
    _flip(changed, chance)
    path.chmod(0o644)
    path.write_bytes(changed)


def _flipped_and_asked(
    place: Place, path: Path, chance: random.Random, found: Fuzzed, facts: dict[str, object]
) -> None:
    """Score the published night again over a flipped bit."""
    before = path.read_bytes()
    _write_flipped(path, before, chance)
    with patch.dict(os.environ, place.environ()), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        code = call(["backfill", "--as-of", "2013-04-11"])
    path.write_bytes(before)
    found.kinds["asked to score"] += 1
    found.codes[code] += 1
    if code not in {0, 80} or place.facts() != facts:
        found.wrong.append(f"{path}: a backfill ended with {code}")
