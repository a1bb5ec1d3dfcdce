"""Generated nights, and the last of them apart, as training takes them."""

import polars as pl

from models.parameters import Parameters
from models.training import Learning, TrainingSet, held_out_from
from tests.models.columns import FEATURES, ORDER


def whole(frame: pl.DataFrame) -> TrainingSet:
    """All nights."""
    return TrainingSet(frame, ORDER, FEATURES, "label")


def learning(frame: pl.DataFrame, parameters: Parameters) -> Learning:
    """All nights, and those before the last ones and the last ones apart."""
    nights = frame["as_of"].unique().sort().to_list()
    late = frame["as_of"] >= held_out_from(nights, parameters.validation_nights)
    return Learning(whole(frame), whole(frame.filter(~late)), whole(frame.filter(late)))
