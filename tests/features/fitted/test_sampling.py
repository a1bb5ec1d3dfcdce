"""Random numbers that are a function of the row, and values drawn by them."""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.fitted import NothingToLearn, RandomSampleImputation, TransformRefused, apply, fit
from features.fitted.drawing import drawn
from tests.features.fitted.made import KEY, fitted_on, made, set_of

_MODULO = 2**64


def by_the_book(values: tuple[object, ...], seed: int, column: str) -> int:
    """The number of one row as the module defines it, in Python's integers."""
    state = mix(_of_text(f"{seed}:{column}"))
    for value in values:
        state = mix(state ^ _number(value))
    return state


def mix(x: int) -> int:
    """The output function of splitmix64."""
    x = (x + 0x9E3779B97F4A7C15) % _MODULO
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % _MODULO
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB % _MODULO
    return x ^ (x >> 31)


def _number(value: object) -> int:
    match value:
        case str():
            return _of_text(value)
        case date():
            return (value - date(1970, 1, 1)).days % _MODULO
        case int():
            return value % _MODULO
    raise TypeError(value)


def _of_text(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def test_the_first_numbers_are_those_of_splitmix64() -> None:
    """Known from its reference implementation, seeded with 1234567."""
    state, found = 1234567, []
    for _ in range(3):
        found.append(mix(state))
        state = (state + 0x9E3779B97F4A7C15) % _MODULO

    assert found == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@given(
    st.lists(
        st.tuples(
            st.dates(),
            st.text(st.characters(exclude_categories=["Cs"])),
            st.integers(-(2**63), 2**63 - 1),
            st.booleans(),
        ),
        min_size=1,
        max_size=20,
    ),
    st.integers(-(2**40), 2**40),
)
def test_what_is_drawn_is_what_the_definition_says_for_keys_of_every_type(rows: list[tuple], seed: int) -> None:
    names = ("day", "text", "whole", "truth")
    schema = {"day": pl.Date, "text": pl.String, "whole": pl.Int64, "truth": pl.Boolean}
    frame = pl.DataFrame(rows, schema=schema, orient="row")

    assert drawn(frame, names, seed, "wind").to_list() == [by_the_book(row, seed, "wind") for row in rows]


def test_a_number_written_down_stays_what_it_is() -> None:
    """Of all that must not change between releases, this is the first: replays draw again."""
    key = pl.DataFrame(
        {"flight_date": [date(2013, 9, 1)], "carrier": ["UA"], "flight": pl.Series([15], dtype=pl.Int32)}
    )

    assert drawn(key, key.columns, 7, "plane_seats").to_list() == [1463456133958596251]


FRAME = made(
    nights=[night for night in range(4) for _ in range(50)],
    numbers=[number for _ in range(4) for number in range(50)],
    seats=[None if row % 3 else row % 7 for row in range(200)],
    maker=[None if row % 2 else "ab"[row % 4 // 2] for row in range(200)],
)
SAMPLED = RandomSampleImputation(("seats", "maker"), seed=7)


def test_a_row_gets_the_same_value_alone_in_a_crowd_and_in_any_order() -> None:
    fitted = fitted_on(FRAME, SAMPLED)
    whole = apply(FRAME, fitted)

    assert whole.null_count().sum_horizontal().item() == 0
    shuffled = apply(FRAME.sample(fraction=1, shuffle=True, seed=3), fitted)
    assert shuffled.sort("as_of", "number").equals(whole)
    assert pl.concat(apply(row, fitted) for row in FRAME.iter_slices(1)).equals(whole)
    assert pl.concat(apply(rows, fitted) for rows in FRAME.iter_slices(7)).equals(whole)


def test_values_that_are_known_stay() -> None:
    found = apply(FRAME, fitted_on(FRAME, SAMPLED))

    assert found.filter(FRAME["seats"].is_not_null())["seats"].equals(FRAME["seats"].drop_nulls())


def test_an_entity_gets_the_same_value_every_night_unless_it_is_drawn_anew() -> None:
    """The as-of belongs to the key only where that is declared."""
    empty = FRAME.with_columns(seats=pl.lit(None, pl.Int64))
    same, anew = (
        apply(empty, fitted_on(FRAME, RandomSampleImputation(("seats",), 7, each_night=each)))
        .group_by("number")
        .agg(pl.col("seats").n_unique())["seats"]
        for each in (False, True)
    )

    assert (same == 1).all()
    assert (anew > 1).mean() > 0.9


def test_another_seed_or_column_draws_otherwise() -> None:
    """Else one draw would decide all that is not known of an entity."""
    empty = FRAME.with_columns(seats=pl.lit(None, pl.Int64), other=pl.lit(None, pl.Int64))
    both = FRAME.with_columns(other="seats")
    found = [apply(empty, fitted_on(both, RandomSampleImputation(("seats", "other"), seed))) for seed in (7, 8)]

    draws = [tuple(one[name].to_list()) for one in found for name in ("seats", "other")]
    assert len(set(draws)) == 4


def test_values_are_drawn_as_often_as_training_has_them() -> None:
    """60,000 draws: each share is within four standard deviations of what it should be."""
    training = made(seats=[100] * 6 + [200] * 3 + [None, 300])
    rows = 60_000
    night = made(numbers=range(rows), seats=pl.repeat(None, rows, dtype=pl.Int64, eager=True))
    counts = Counter(apply(night, fitted_on(training, RandomSampleImputation(("seats",), 7)))["seats"].to_list())

    for value, share in ((100, 0.6), (200, 0.3), (300, 0.1)):
        assert abs(counts[value] - rows * share) < 4 * (rows * share * (1 - share)) ** 0.5


def test_of_very_many_values_evenly_spaced_ones_are_kept() -> None:
    training = made(wind=[float(row) for row in range(1000)])
    state = fitted_on(training, RandomSampleImputation(("wind",), 7, most_values=4)).states[0]

    assert state.learnt == ((KEY, (125.0, 375.0, 625.0, 875.0), (1, 1, 1, 1)),)


def test_a_column_without_a_value_or_a_key_of_fractions_is_refused() -> None:
    with pytest.raises(NothingToLearn, match="`wind` is null in all 1 training rows"):
        fitted_on(made(wind=pl.Series([None], dtype=pl.Float64)), RandomSampleImputation(("wind",), 7))
    frame = made(wind=[1.0])
    with pytest.raises(TransformRefused, match="draws by the key, and its column `wind` is float64"):
        fit(frame, set_of(frame), [RandomSampleImputation(("wind",), 7)], key=("wind",))
