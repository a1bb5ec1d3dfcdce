"""From raw scores to scores: by the objective's own link, or by a calibration; no order of two is ever inverted.

Each score depends on its raw score alone. Exponentials are the C library's, as LightGBM's are: numpy's own differ in
the last bit on some rows.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from models.booster import Floats
from models.calibration import Calibration, Isotonic
from models.golden import bits_differing
from models.kernel.choice import logistic
from models.objectives import Link

_ASKED_RAW = (-746.0, -709.78271289338409, -40.0, -1.5, -0.1, -1e-300, -0.0, 0.0, 5e-324, 0.3, 1.0, 36.8, 709.8, 1e308)
_OVERFLOW = 709.782712893384  # math.exp raises beyond, where C's exp gives infinity


@dataclass(frozen=True)
class Curve:
    """How a model's raw scores become scores."""

    link: Link
    sigmoid: float = 0.0
    """Slope of the logistic curve; 0 where the link is another."""
    calibration: Calibration | None = None
    _compiled: dict[float, Callable[[Floats], Floats]] = field(default_factory=dict, compare=False)

    def scores(self, raw: Floats, *, compiled: bool) -> Floats:
        """One score a raw score; a logistic may be the compiled one, once that has given the same bits."""
        if isinstance(self.calibration, Isotonic):
            return self.calibration.scores(raw)
        if self.calibration:
            with np.errstate(over="ignore"):  # to an infinity, which the logistic takes
                line = self.calibration.slope * raw + self.calibration.offset
            return self._logistic(line, 1.0, compiled=compiled)
        if self.link == "logistic":
            return self._logistic(raw, self.sigmoid, compiled=compiled)
        return raw.copy() if self.link == "identity" else np.array([_exponential(one) for one in raw.tolist()])

    def _logistic(self, raw: Floats, slope: float, *, compiled: bool) -> Floats:
        return self._proven(slope)(np.ascontiguousarray(raw)) if compiled else _one_by_one(raw, slope)

    def _proven(self, slope: float) -> Callable[[Floats], Floats]:
        if slope not in self._compiled:
            fast, asked = logistic(slope), np.array(_ASKED_RAW)
            same = not bits_differing(_one_by_one(asked, slope), fast(asked))
            self._compiled[slope] = fast if same else lambda raw: _one_by_one(raw, slope)
        return self._compiled[slope]


def _one_by_one(raw: Floats, slope: float) -> Floats:
    return np.array([_logistic(slope * one) for one in raw.tolist()], dtype=np.float64)


def _logistic(x: float) -> float:
    return 0.0 if -x > _OVERFLOW else 1.0 / (1.0 + math.exp(-x))


def _exponential(x: float) -> float:
    return math.inf if x > _OVERFLOW else math.exp(x)
