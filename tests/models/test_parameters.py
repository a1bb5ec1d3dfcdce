import subprocess
import sys
from pathlib import Path

import pytest
from lightgbm.basic import _ConfigAliases

from jobs.definition import job_names
from models.parameters import REPEATABLE, ParametersRefused, change_parameters, parse_parameters
from models.tunables import REFUSED, TUNABLES

GOOD = """objective = "binary"
rounds = 3
seed = 7
validation_nights = 2

[lightgbm]
num_leaves = 31
"""
ROOT = Path(__file__).parents[2]


def refusal(text: str) -> str:
    with pytest.raises(ParametersRefused) as caught:
        parse_parameters(text, "models/late.toml")
    return str(caught.value)


def test_the_parameters_of_every_job_can_be_read() -> None:
    """The shipped files, as they are."""
    shipped = sorted((ROOT / "models").glob("*.toml"))

    assert tuple(path.stem for path in shipped) == job_names()
    for path in shipped:
        assert parse_parameters(path.read_text(), str(path)).rounds > 1


def test_parameters_are_a_value_whatever_the_order_of_their_lines() -> None:
    text = GOOD + "max_bin = 63\n"
    swapped = GOOD.replace("num_leaves = 31", "max_bin = 63") + "num_leaves = 31\n"

    assert parse_parameters(text, "a") == parse_parameters(swapped, "b")
    assert parse_parameters(text, "a").tunables == (("max_bin", 63), ("num_leaves", 31))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('boosting = "goss"', "GOSS: its trees depend on the number of threads"),
        ('boosting = "rf"', "one of gbdt, dart"),
        ('data_sample_strategy = "goss"', "GOSS"),
        ("top_rate = 0.2", "GOSS"),
        ("linear_tree = true", "`linear_tree` is refused: its trees depend on the number of threads"),
        ("use_quantized_grad = true", "stochastic rounding"),
        ("stochastic_rounding = false", "use_quantized_grad"),
        ('device_type = "gpu"', "`device_type` is refused: a GPU gives other trees"),
        ('device_type = "cuda"', "a GPU gives other trees"),
        ('tree_learner = "voting"', "serial"),
        ("pred_early_stop = true", "`pred_early_stop` is refused: it changes the scores"),
        ("num_threads = 4", "an argument of training"),
        ("deterministic = false", "it is always True"),
        ("force_col_wise = true", "not among what may be tuned"),
        ("early_stopping_round = 10", "`rounds`"),
        ("bin_construct_sample_cnt = 1000", "it is always 2147483647"),
        ("num_iterations = 10", "write `rounds`"),
        ("no_such_thing = 1", "`no_such_thing` is not among what may be tuned"),
        ('forcedsplits_filename = "/etc/passwd"', "not among what may be tuned"),
    ],
)
def test_what_is_not_repeatable_is_refused_by_name_and_line(line: str, words: str) -> None:
    said = refusal(GOOD + "\n# a comment\n" + line + "\n")

    assert said.startswith("models/late.toml:10: ")
    assert line.split(" ", maxsplit=1)[0] in said
    assert words in said


@pytest.mark.parametrize(
    ("alias", "canonical"),
    [
        ("num_thread", "num_threads"),
        ("n_jobs", "num_threads"),
        ("boosting_type", "boosting"),
        ("linear_trees", "linear_tree"),
        ("device", "device_type"),
        ("tree", "tree_learner"),
        ("subsample", "bagging_fraction"),
        ("reg_lambda", "lambda_l2"),
        ("n_estimators", "num_iterations"),
        ("random_state", "seed"),
        ("verbose", "verbosity"),
        ("loss", "objective"),
    ],
)
def test_an_alias_is_refused_under_its_canonical_name(alias: str, canonical: str) -> None:
    said = refusal(GOOD + f"{alias} = 1\n")

    assert said.startswith(f"models/late.toml:8: `{alias}` (LightGBM's alias of `{canonical}`) is refused")


def test_no_alias_of_anything_passes() -> None:
    """Every name that LightGBM knows, except the canonical names that may be tuned, is refused."""
    _ConfigAliases.get("seed")  # fills the table
    names = {alias for aliases in _ConfigAliases.aliases.values() for alias in aliases} - TUNABLES.keys()

    assert len(names) > 250
    for name in names:
        assert f"`{name}`" in refusal(GOOD + f"{name} = 1\n")


def test_every_option_here_is_lightgbms_canonical_name() -> None:
    """A typing error in one of our own tables would silently do nothing."""
    _ConfigAliases.get("seed")

    assert TUNABLES.keys() | REFUSED.keys() | REPEATABLE.keys() <= _ConfigAliases.aliases.keys()
    assert not TUNABLES.keys() & (REFUSED.keys() | REPEATABLE.keys())


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("num_leaves = 1", "`num_leaves` is 1; it should be a whole number from 2 to 131072"),
        ("num_leaves = 31.0", "whole number"),
        ("num_leaves = true", "whole number"),
        ("learning_rate = nan", "a number from 1e-06 to 1"),
        ("learning_rate = 1.5", "a number from 1e-06 to 1"),
        ('learning_rate = "0.1"', "a number"),
        ("lambda_l1 = inf", "a number"),
        ("extra_trees = 1", "true or false"),
        ("bagging_fraction = 0.5", "does nothing without `bagging_freq`"),
        ("[lightgbm.more]", "`more` is not among what may be tuned"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_name_and_line(line: str, words: str) -> None:
    said = refusal(GOOD.replace("num_leaves = 31", line))

    assert said.startswith("models/late.toml:7: ")
    assert words in said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"binary"', '"multiclass"', "1: objective 'multiclass' is refused: one score a row is published"),
        ('"binary"', '"quadratic"', "1: `objective` is 'quadratic'; it should be one of binary, regression"),
        ("rounds = 3", "rounds = 0", "2: `rounds` is 0; it should be a whole number from 1 to 100000"),
        ("seed = 7\n", "", "1: `seed` is missing"),
        ("seed = 7\n", "# seed = 7\n", "1: `seed` is missing"),
        ("seed = 7", "seed = 2147483648", "3: `seed` is 2147483648"),
        ("seed = 7", "seed = true", "3: `seed` is True"),
        ("seed = 7", "seed = 7\nnum_leaves = 3", "4: `num_leaves` belongs in the table [lightgbm]"),
        ("seed = 7", "seed = 7\nmax_leaves = 3", "4: `max_leaves` (LightGBM's alias of `num_leaves`) is refused"),
        ("seed = 7", 'seed = 7\ncategorical = "a"', "4: `categorical` should be a list of feature names"),
        ("seed = 7", 'seed = 7\ncategorical = ["a", "a"]', "4: `categorical` names a feature twice"),
        ("seed = 7", "seed = ", "3: not TOML"),
        ("seed = 7", "seed = 7\nseed = 8", "4: not TOML"),
        ("[lightgbm]\nnum_leaves = 31", "lightgbm = 3", "6: `lightgbm` should be a table"),
        ("[lightgbm]\nnum_leaves = 31", "lightgbm = { linear_tree = true }", "6: `linear_tree` is refused"),
        ("[lightgbm]\nnum_leaves = 31", "lightgbm.linear_tree = true", "6: `linear_tree` is refused"),
    ],
)
def test_a_file_that_says_something_else_is_refused(old: str, new: str, said: str) -> None:
    assert refusal(GOOD.replace(old, new)).startswith(f"models/late.toml:{said}")


def test_a_change_gives_what_a_file_that_says_so_gives() -> None:
    """By name alone, whether it stands at the top of the file or in its table; what is not named stays."""
    changed = change_parameters(parse_parameters(GOOD, "a"), {"rounds": 9, "num_leaves": 7, "extra_trees": True})

    same = GOOD.replace("rounds = 3", "rounds = 9").replace("num_leaves = 31", "num_leaves = 7\nextra_trees = true")
    assert changed == parse_parameters(same, "b")
    assert change_parameters(changed, {}) == changed


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rounds": 0}, "`rounds` is 0; it should be a whole number from 1 to 100000"),
        ({"seed": None}, "`seed` is missing"),
        ({"num_leaves": 2.5}, "`num_leaves` is 2.5"),
        ({"num_threads": 4}, "`num_threads` is refused: the number of threads is an argument of training"),
        ({"eta": 0.1}, "`eta` (LightGBM's alias of `learning_rate`) is refused: write `learning_rate`"),
        ({"learning_rat": 0.1}, "`learning_rat` is not among what may be tuned"),
        ({"deterministic": False}, "`deterministic` is refused: it is always True"),
        ({"bagging_fraction": 0.5}, "`bagging_fraction` does nothing without `bagging_freq`"),
        ({"categorical": "carrier"}, "`categorical` should be a list of feature names"),
        ({"lightgbm": {"num_leaves": 7}}, "`lightgbm` is not among what may be tuned"),
    ],
)
def test_a_change_is_held_to_the_rules_of_a_file(changes: dict[str, object], said: str) -> None:
    """There is no file to point into, so the change is named."""
    with pytest.raises(ParametersRefused) as caught:
        change_parameters(parse_parameters(GOOD, "a"), changes)

    assert str(caught.value).startswith(f"changed parameters: {said}")


def test_what_makes_training_repeatable_wins_over_everything() -> None:
    told = parse_parameters(GOOD, "a").library(threads=2)

    assert told == {**REPEATABLE, "num_leaves": 31, "objective": "binary", "seed": 7, "num_threads": 2}


def test_reading_parameters_does_not_wait_for_lightgbm() -> None:
    code = (
        "import sys, models.parameters; "
        "sys.exit(any(name in sys.modules for name in ('lightgbm', 'numpy', 'polars', 'pandas', 'scipy')))"
    )

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
