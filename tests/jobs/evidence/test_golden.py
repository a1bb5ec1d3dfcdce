"""Golden rows and golden nights: what a model version is asked before it scores."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from jobs.evidence import golden
from jobs.project import OURS
from jobs.steps.snapshots import take_snapshot
from jobs.store.documents import read_document
from jobs.store.home import open_home
from jobs.store.registry import read_version, version_names
from jobs.store.snapshots import as_known_on, kept_snapshots, read_snapshot
from models.golden import MOST_ROWS, bits_differing, choose_rows
from models.kernel import choice
from tests.jobs.evidence.tampering import JOB, flip, forge_version, one_more, one_ulp_more
from tests.jobs.evidence.tampering import settings as settings_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import World

NEXT, AFTER = "2013-04-13", "2013-04-15"


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[object]]:
    """Another environment than the model's: another Polars, another processor, other feature code by its digest."""
    there = {**golden.environment(), **golden.processor(), **golden.code(OURS)}
    monkeypatch.setattr(golden, "environment", lambda: {**_only(there, "polars"), "polars": "9.9.9"})
    monkeypatch.setattr(golden, "processor", lambda: {"cpu": f"{there['cpu']} avx9", "libc": there["libc"]})
    monkeypatch.setattr(golden, "code", lambda _: {**_codes(there), "code_features": "f" * 64})
    return {
        "code_features": [there["code_features"], "f" * 64],
        "cpu": [there["cpu"], f"{there['cpu']} avx9"],
        "polars": [there["polars"], "9.9.9"],
    }


def _only(there: dict, *_names: str) -> dict:
    return {name: value for name, value in there.items() if name not in {"cpu", "libc"} and "code_" not in name}


def _codes(there: dict) -> dict:
    return {name: value for name, value in there.items() if name.startswith("code_")}


@pytest.fixture
def rebuilt(monkeypatch: pytest.MonkeyPatch) -> list[date]:
    """The golden nights that are built again."""
    nights: list[date] = []
    real = golden.build_night

    def build(job: object, tables: object, as_of: date) -> pl.DataFrame:
        nights.append(as_of)
        return real(job, tables, as_of)

    monkeypatch.setattr(golden, "build_night", build)
    return nights


def publications(world: World) -> list[tuple]:
    return sorted(path.name for path in world.home.glob("events/*/*.json"))


def test_a_model_whose_text_was_changed_by_one_bit_scores_nothing(world: World) -> None:
    """One leaf, one ulp; the manifest is resealed, the version is champion. Every file is whole; the rows tell."""
    forged = forge_version(world.home, one_ulp_more)
    assert world.run("promote", forged.version, "--unproven", "--from", NEXT, "--reason", "as good").code == 0
    assert world.run("verify", "--read-data").code == 0
    before = publications(world)

    result = world.run("run", "--as-of", NEXT, "--json")

    assert result.code == 81
    assert f"model {forged.version} gives" in result.err
    assert "of 1000 golden rows another raw score" in result.err
    assert result.json["runs"][0]["status"] == "failed"
    assert publications(world) == before
    assert len(list(world.home.glob("runs/*/*/*"))) == 1
    assert not list(world.home.glob(f"snapshots/*/{NEXT}"))


def test_a_golden_failure_ends_the_catching_up(world: World) -> None:
    """It is not of the night: the next ones would fare no better. Backfilling several nights ends there too."""
    forged = forge_version(world.home, one_ulp_more)
    world.run("promote", forged.version, "--unproven", "--from", NEXT, "--reason", "as good")

    for command in (["run", "--as-of", AFTER], ["backfill", "--as-of", NEXT, "--until", AFTER]):
        result = world.run(*command, "--json")
        assert (result.code, result.json["error"]["name"]) == (81, "differs")
        assert [(each["as_of"], each["status"]) for each in result.json["runs"]] == [(NEXT, "failed")]


def test_in_its_own_environment_a_model_s_golden_night_is_not_built_again(world: World, rebuilt: list[date]) -> None:
    result = world.run("run", "--as-of", AFTER, "--json")

    assert result.code == 0
    assert rebuilt == []
    assert [each["environment"] for each in result.json["runs"]] == [
        {"same": True, "differs": {}, "proven_by": ["1,000 golden rows"]}
    ] * 3
    assert "another environment" not in world.run("run", "--as-of", "2013-04-16").out


def test_another_environment_is_proven_equal_once_and_says_so(
    world: World, rebuilt: list[date], elsewhere: dict[str, list[object]]
) -> None:
    """Two nights, one golden night; in the JSON, in a line for a person, in the execution records."""
    version = version_names(open_home(world.home), "flight_delay")[0]
    night = str(read_version(open_home(world.home), "flight_delay", version).golden.night)
    proof = ["1,000 golden rows", f"the golden night of {night}"]

    told = world.run("run", "--as-of", "2013-04-14", "--json")
    assert told.code == 0
    assert [str(each) for each in rebuilt] == [night]
    assert [each["environment"] for each in told.json["runs"]] == [
        {"same": False, "differs": elsewhere, "proven_by": proof}
    ] * 2
    record = read_document(next(world.home.glob(f"runs/*/{NEXT}/*/execution.json")), "execution")
    assert record["equal_to_training"] == {"differences": elsewhere, "proven_by": proof}

    said = world.run("run", "--as-of", "2013-04-16").out.splitlines()
    assert len(said) == 3
    assert said[2].startswith(f"in another environment than that of model {version}: code_features: ")
    assert "cpu: +avx9; polars: " in said[2]
    assert said[2].endswith(f"; proven equal by {proof[0]} and {proof[1]}")
    assert world.run("run", "--as-of", "2013-04-16", "--json").json["runs"][0]["environment"] is None


def other_features(monkeypatch: pytest.MonkeyPatch, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """Feature code that gives other values, wherever it is called."""
    real = JOB.features().build_features
    monkeypatch.setattr("features.flight_delay.build_features", lambda *given: change(real(*given)))


@pytest.mark.usefixtures("elsewhere")
def test_feature_code_that_gives_other_values_scores_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Golden rows do not pass through it, the golden night does: 81, the column, both environments."""
    other_features(monkeypatch, one_more("carrier_flown_28d", lambda flown: flown + 1))
    before = publications(world)

    result = world.run("run", "--as-of", AFTER, "--json")

    assert result.code == 81
    assert "1 columns differ, the first is carrier_flown_28d" in result.err
    assert "polars: " in result.err
    assert "9.9.9 here" in result.err
    assert len(result.json["runs"]) == 1
    assert publications(world) == before
    assert not list(world.home.glob(f"runs/*/{NEXT}"))


@pytest.mark.parametrize(
    "change",
    [lambda frame: frame.head(0), lambda frame: frame.drop("weekday"), lambda frame: pl.concat([frame, frame])],
    ids=["no rows", "a column is missing", "rows twice"],
)
@pytest.mark.usefixtures("elsewhere")
def test_feature_code_that_breaks_its_contract_on_the_golden_night_is_no_fault_of_the_data(
    world: World, monkeypatch: pytest.MonkeyPatch, change: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    """81, and no further night is tried: what the golden night was made of is known to be right."""
    other_features(monkeypatch, change)

    result = world.run("run", "--as-of", AFTER, "--json")
    assert result.code == 81
    assert "the golden night of model" in result.err
    assert len(result.json["runs"]) == 1


@pytest.fixture
def for_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every night is large enough for the kernel: LightGBM takes a second a tree."""
    monkeypatch.setattr(choice, "_PREDICT_NS", 1e9)


def off_by_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel gives its third row another bit."""
    real = choice.Kernel.scores

    def scores(*told: object) -> object:
        found = real(*told)
        found[2] = np.nextafter(found[2], 0)
        return found

    monkeypatch.setattr(choice.Kernel, "scores", scores)


@pytest.mark.usefixtures("for_the_kernel")
def test_a_night_that_the_kernel_scores_is_the_night_that_lightgbm_scores(world: World) -> None:
    """A run of the same identity with other scores would be 81; the record says who scored, and the replay is equal."""
    result = world.run("backfill", "--as-of", "2013-04-12", "--json")
    assert (result.code, result.json["runs"][0]["status"]) == (0, "already_published")
    assert world.run("run", "--as-of", NEXT, "--json").code == 0
    records = [path.read_text() for path in world.home.rglob("execution.json")]
    assert any('"scored_by":"kernel"' in record.replace(" ", "") for record in records)
    assert world.run("verify").code == 0


@pytest.mark.usefixtures("for_the_kernel")
def test_a_kernel_that_gives_a_golden_row_another_bit_scores_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LightGBM's own golden rows are right; verify asks both engines."""
    before = publications(world)
    off_by_a_bit(monkeypatch)

    result = world.run("run", "--as-of", NEXT, "--json")

    assert result.code == 81
    assert "1 of 1000 golden rows another raw score" in result.err
    assert publications(world) == before
    verified = world.run("verify", "--json")
    assert (verified.code, verified.json["runs"][0]["first_divergence"]) == (81, "golden_rows")


@pytest.mark.parametrize("name", ["golden_rows.parquet", "golden_night.json", "trained.json", "model.txt"])
@pytest.mark.usefixtures("elsewhere")
def test_damaged_proof_proves_nothing(world: World, name: str) -> None:
    """80, and the file; nothing is published."""
    [path] = world.home.glob(f"models/*/*/{name}")
    flip(path)

    result = world.run("run", "--as-of", NEXT)
    assert result.code == 80
    assert str(path) in result.err
    assert len(publications(world)) == 2


def test_what_a_training_snapshot_knew_on_a_night_is_what_was_taken_on_that_night(world: World) -> None:
    """Digest and all, every table but the labels, if nothing was rewritten in between."""
    home, settings = open_home(world.home), settings_of(world.home, world.warehouse)
    [taken] = kept_snapshots(home, JOB.name, date(2013, 4, 10))
    training = read_snapshot(home, JOB.name, taken.as_of, taken.digest)

    for night in (date(2013, 2, 1), date(2013, 3, 11), date(2013, 4, 8)):  # the second after clocks went forward
        then = take_snapshot(JOB, settings, home, night).snapshot
        known = as_known_on(training, night, JOB.horizon_days)
        assert known.digest == then.digest, night
        assert {table.name: table.rows for table in known.tables} == {table.name: table.rows for table in then.tables}
        assert "labels" not in {table.name for table in known.tables}


def test_what_was_rewritten_since_a_night_is_not_what_was_taken_on_it(world: World) -> None:
    """The test above can fail."""
    home, settings = open_home(world.home), settings_of(world.home, world.warehouse)
    [taken] = kept_snapshots(home, JOB.name, date(2013, 4, 10))
    training = read_snapshot(home, JOB.name, taken.as_of, taken.digest)
    world.sql("UPDATE flight_outcomes SET arr_delay_min = 99 WHERE flight_date = DATE '2013-03-01'")

    then = take_snapshot(JOB, settings, home, date(2013, 4, 1)).snapshot
    known = as_known_on(training, date(2013, 4, 1), JOB.horizon_days)
    differing = {table.name for table in then.tables if table.digest != known.table(table.name).digest}
    assert differing == {"outcomes"}


ORDER = ("as_of", "carrier", "flight")


def rows(count: int) -> pl.DataFrame:
    """Rows by night, carrier and flight; some without a carrier."""
    return pl.DataFrame(
        {
            "as_of": [date(2013, 1, 1) + timedelta(days=n % 30) for n in range(count)],
            "carrier": [None if n % 7 == 0 else ("UA", "Ü", 'A"A')[n % 3] for n in range(count)],
            "flight": list(range(count)),
            "feature": [n / 3 for n in range(count)],
        }
    ).sort(ORDER)


def test_golden_rows_are_a_thousand_at_most_in_their_order() -> None:
    frame = rows(2_500)
    chosen = choose_rows(frame, ORDER, 1)

    assert chosen.height == MOST_ROWS == 1_000
    assert chosen.equals(chosen.sort(ORDER))
    assert choose_rows(frame.head(999), ORDER, 1).equals(frame.head(999))
    assert choose_rows(frame.head(0), ORDER, 1).height == 0
    assert not choose_rows(frame, ORDER, 2).equals(chosen)


def test_whether_a_row_is_golden_depends_on_the_row_alone() -> None:
    """Not on where it stands; and one that is drawn among many is drawn among any of these."""
    frame = rows(2_500)
    chosen = choose_rows(frame, ORDER, 1)
    shuffled = choose_rows(frame.sample(fraction=1.0, shuffle=True, seed=3), ORDER, 1)
    subset = frame.filter(pl.col("flight") % 2 == 0)

    assert shuffled.sort(ORDER).equals(chosen)
    assert choose_rows(frame.with_columns(feature=pl.lit(0.0)), ORDER, 1).select(ORDER).equals(chosen.select(ORDER))
    drawn = set(choose_rows(subset, ORDER, 1)["flight"])
    assert {flight for flight in chosen["flight"] if flight % 2 == 0} <= drawn


def test_the_rows_that_are_drawn_are_written_down() -> None:
    """By a hash of ours: the same rows in every release."""
    assert choose_rows(rows(40), ORDER, 20130901, most=5)["flight"].to_list() == [19, 22, 24, 25, 29]


def test_scores_are_compared_as_bits() -> None:
    """A NaN is itself, 0.0 is not -0.0."""
    some = pl.Series([0.0, float("nan"), 1.0, 2.0]).to_numpy().copy()
    other = some.copy()
    assert bits_differing(some, other) == 0
    other[0] = -0.0
    assert bits_differing(some, other) == 1


def test_environments_stand_side_by_side_in_one_line() -> None:
    """Only what differs; of digests what tells them apart, of lists what was lost and gained."""
    assert golden.side_by_side({}) == "the environment is the one that it was trained in"
    assert (
        golden.side_by_side({"cpu": ("avx fma", "avx sse"), "lock": ("a" * 64, "b" * 64), "polars": (None, "2.1.0")})
        == f"cpu: -fma +sse; lock: {'a' * 12} there, {'b' * 12} here; polars: nothing there, 2.1.0 here"
    )
