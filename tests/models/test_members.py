"""How a file declares an ensemble and a calibration, and what it may not say."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.calibrating import Asked
from models.members import Member
from models.parameters import Parameters, ParametersRefused, change_parameters, parse_parameters

TOP = """objective = "binary"
rounds = 3
seed = 7
validation_nights = 2

[lightgbm]
num_leaves = 31

"""
MEMBERS = """[[members]]
name = "one"

[[members]]
name = "two"
weight = "0.50"
seed = 8
rounds = 9
nights = 40
features = ["carrier_*", "hour"]
without = ["carrier_code"]

[members.lightgbm]
num_leaves = 7
"""


def refusal(text: str) -> str:
    with pytest.raises(ParametersRefused) as caught:
        parse_parameters(text, "late.toml")
    return str(caught.value)


def test_members_stand_in_the_order_of_the_file_with_whole_weights() -> None:
    read = parse_parameters(TOP + MEMBERS, "late.toml")

    assert read.members == (
        Member("one", weight=2),
        Member(
            "two", weight=1, seed=8, rounds=9, nights=40, features=("carrier_*", "hour"), without=("carrier_code",),
            tunables=(("num_leaves", 7),),
        ),
    )  # fmt: skip
    assert read.alone(read.members[0]) == replace(read, members=())
    assert read.alone(read.members[1]) == replace(read, members=(), seed=8, rounds=9, tunables=(("num_leaves", 7),))


def test_parameters_without_members_say_nothing_of_them() -> None:
    """What a version of before ensembles has on record stays what it was."""
    read = parse_parameters(TOP, "late.toml")

    assert read.to_json().keys() == {
        "objective", "rounds", "seed", "validation_nights", "categorical", "lightgbm", "repeatable",
    }  # fmt: skip
    assert Parameters.from_json(read.to_json()) == read


@pytest.mark.parametrize("objective", ["binary", "huber"])
def test_parameters_that_were_fixed_to_other_values_are_not_trained_by_again(objective: str) -> None:
    """What is fixed depends on the objective: row by row, or column by column."""
    read = parse_parameters(TOP.replace("binary", objective), "late.toml")
    kept = read.to_json()

    assert Parameters.from_json(kept) == read
    with pytest.raises(ParametersRefused, match="were fixed to other values then"):
        Parameters.from_json({**kept, "repeatable": {**read.repeatable(), "force_row_wise": objective == "huber"}})


@pytest.mark.parametrize(
    "calibration", ["", '[calibration]\nmethod = "platt"\n', '[calibration]\nmethod = "isotonic"\nbetween = "step"\n']
)
def test_members_and_calibration_come_back_from_json(calibration: str) -> None:
    read = parse_parameters(TOP + MEMBERS + calibration, "late.toml")

    assert Parameters.from_json(read.to_json()) == read
    assert change_parameters(read, {}) == read


def test_a_change_leaves_members_as_they_are_or_takes_them_away() -> None:
    read = parse_parameters(TOP + MEMBERS, "late.toml")

    assert change_parameters(read, {"rounds": 5}).members == read.members
    assert change_parameters(read, {"members": []}) == parse_parameters(TOP, "late.toml")
    asked = change_parameters(read, {"calibration": {"method": "isotonic", "least_rows": 9}}).calibration
    assert asked == Asked("isotonic", "line", 9)


@pytest.mark.parametrize(
    ("declared", "whole"),
    [
        (("1", "1", "1"), (1, 1, 1)),
        (('"0.1"', '"0.2"'), (1, 2)),
        (('"0.5"', "2"), (1, 4)),
        (("6", "4"), (3, 2)),
        (('"0.000001"', "1000000"), (1, 10**12)),
        (('"1.50"', '"1.5"'), (1, 1)),
    ],
)
def test_weights_become_the_smallest_whole_numbers_in_the_same_proportions(
    declared: tuple[str, ...], whole: tuple[int, ...]
) -> None:
    text = "".join(f'[[members]]\nname = "m{n}"\nseed = {n}\nweight = {each}\n' for n, each in enumerate(declared))

    assert tuple(member.weight for member in parse_parameters(TOP + text, "late.toml").members) == whole


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=5), st.integers(1, 1000))
def test_only_the_proportions_of_weights_matter(weights: list[int], times: int) -> None:
    def read(each: list[str]) -> tuple[int, ...]:
        members = [{"name": f"m{n}", "seed": n, "weight": weight} for n, weight in enumerate(each)]
        changed = change_parameters(parse_parameters(TOP, "late.toml"), {"members": members})
        return tuple(member.weight for member in changed.members)

    found = read([f"{weight // 1000}.{weight % 1000:03}" if weight >= 1000 else f"0.{weight:03}" for weight in weights])
    assert all(a * weights[0] == found[0] * b for a, b in zip(found, weights, strict=True))
    if max(weights) * times <= 10**6:
        assert read([str(weight * times) for weight in weights]) == found


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('weight = "0.50"', "weight = 0.5", "14: `weight` is 0.5; it should be a whole number from 1 to 1000000"),
        ('weight = "0.50"', "weight = 0", "14: `weight` is 0; it should be"),
        ('weight = "0.50"', "weight = -1", "14: `weight` is -1"),
        ('weight = "0.50"', "weight = true", "14: `weight` is True"),
        ('weight = "0.50"', 'weight = "0.0"', "14: `weight` is '0.0'"),
        ('weight = "0.50"', 'weight = "1e3"', "14: `weight` is '1e3'"),
        ('weight = "0.50"', 'weight = "nan"', "14: `weight` is 'nan'"),
        ('weight = "0.50"', 'weight = "0.0000001"', "14: `weight` is '0.0000001'"),
        ('weight = "0.50"', 'weight = "1000000.1"', "14: `weight` is '1000000.1'"),
        ('name = "two"', 'name = "one"', "13: two members are called `one`"),
        ('name = "two"', 'name = "../two"', "13: a member has a `name` of lower-case letters"),
        ('name = "two"\n', "", "12: a member has a `name`"),
        ("seed = 8", "seed = -8", "15: `seed` is -8; it should be a whole number"),
        ("nights = 40", "nights = 0", "17: `nights` is 0"),
        ("nights = 40", "days = 40", "17: `days` is not an entry of a member"),
        ("nights = 40", "num_leaves = 40", "17: `num_leaves` is not an entry of a member: .*members.lightgbm"),
        ("nights = 40", 'objective = "regression"', "17: raw scores of `regression` .identity link. and of `binary`"),
        ("nights = 40", 'objective = "cross_entropy"', "17: objective 'cross_entropy' is refused: for labels"),
        ("nights = 40", 'objective = "no"', "17: `objective` is 'no'; it should be one of binary"),
        ('"hour"]', '"hour", "hour"]', "18: `features` names a feature twice"),
        ('["carrier_code"]', "[]", "19: `without` should be a list of feature names"),
        ('["carrier_code"]', '["carrier[a]"]', "19: `without` should be a list of feature names"),
        ("num_leaves = 7", "linear_tree = true", "22: `linear_tree` is refused"),
        ("num_leaves = 7", "num_leaves = 1", "22: `num_leaves` is 1"),
        ("num_leaves = 7", "bagging_fraction = 0.5", "22: `bagging_fraction` does nothing without"),
    ],
)  # fmt: skip
def test_a_member_is_held_to_the_rules_by_name_and_line(old: str, new: str, said: str) -> None:
    import re  # noqa: PLC0415

    assert re.match(f"late.toml:{said}", refusal(TOP + MEMBERS.replace(old, new)))


def test_the_same_training_twice_is_refused() -> None:
    """It would add nothing but time; another name or weight is no other training."""
    text = TOP + '[[members]]\nname = "one"\n[[members]]\nname = "two"\nweight = 3\nseed = 7\n'

    assert "14: `two` is the same training as `one`; give it another seed" in refusal(text)


def test_a_member_needs_bagging_frequency_only_once() -> None:
    common = TOP.replace("num_leaves = 31", "bagging_freq = 1")
    text = common + '[[members]]\nname = "one"\n[members.lightgbm]\nbagging_fraction = 0.5\n'

    assert parse_parameters(text, "late.toml").members[0].tunables == (("bagging_fraction", 0.5),)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('[calibration]\nmethod = "beta"', "10: `method` is 'beta'; it should be one of isotonic, platt"),
        ("[calibration]\nleast_rows = 3", "9: `method` is missing"),
        ('[calibration]\nmethod = "platt"\nleast_rows = 3', "11: `least_rows` is of isotonic calibration alone"),
        ('[calibration]\nmethod = "isotonic"\nleast_rows = 0', "11: `least_rows` is 0"),
        ('[calibration]\nmethod = "isotonic"\nbetween = "spline"', "11: `between` is 'spline'"),
        ('[calibration]\nmethod = "isotonic"\nnights = 3', "11: `nights` is not an entry of `calibration`"),
    ],
)
def test_a_calibration_is_held_to_the_rules_by_name_and_line(table: str, said: str) -> None:
    assert refusal(TOP + table + "\n").startswith(f"late.toml:{said}")


def test_only_probabilities_are_calibrated() -> None:
    text = TOP.replace('"binary"', '"poisson"') + '[calibration]\nmethod = "platt"\n'

    assert "only the scores of a binary objective are probabilities" in refusal(text)


def test_a_member_picks_features_by_name_in_the_models_order() -> None:
    columns = ("hour", "carrier_code", "carrier_late", "wind", "origin_late")

    assert Member("m").choose(columns) == columns
    assert Member("m", features=("wind", "carrier_*")).choose(columns) == ("carrier_code", "carrier_late", "wind")
    assert Member("m", without=("*_late",)).choose(columns) == ("hour", "carrier_code", "wind")
    assert Member("m", features=("*_late",), without=("origin_*",)).choose(columns) == ("carrier_late",)


@pytest.mark.parametrize(
    ("member", "said"),
    [
        (Member("m", features=("hour", "tail_*")), "member `m` names `tail_\\*`, and no feature is called so"),
        (Member("m", without=("tail",)), "names `tail`"),
        (Member("m", features=("hour",), without=("h*",)), "left without a feature"),
    ],
)
def test_a_pattern_without_a_feature_is_refused(member: Member, said: str) -> None:
    with pytest.raises(LookupError, match=said):
        member.choose(("hour", "carrier_code"))
