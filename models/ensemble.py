"""Several models as one: the raw score is the mean of the members' raw scores, weighted by whole numbers.

    raw = (w1 * raw1 + w2 * raw2 + ...) / (w1 + w2 + ...)

Row by row, in float64, in the order of the members: products and sums, then one division; each is rounded as IEEE 754
says, and no library reduces anything. So the bits depend on the row alone. Members have one link, so that their raw
scores are on one scale: for a binary objective the log odds. One member of weight 1 scores as it does alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from models.booster import Floats, ModelTextRefused
from models.calibration import Calibration
from models.curve import Curve
from models.kernel.choice import KERNEL, LIGHTGBM, refused
from models.matrix import FeaturesDiffer
from models.scorer import Asked, Model, chosen_features


@dataclass(frozen=True)
class Part:
    """One member, with its weight in whole numbers."""

    name: str
    weight: int
    model: Model


@dataclass(frozen=True)
class Ensemble:
    """Trained members, ready to score as one; what `models.scorer.Model` offers, this does."""

    features: tuple[str, ...]
    """The model columns of the version; each member picks its own by name."""
    categorical: tuple[str, ...]
    curve: Curve
    parts: tuple[Part, ...]
    _only: str = ""
    _proof: Callable[["Ensemble"], None] | None = None
    _asked: Asked = field(default_factory=Asked, compare=False)

    @classmethod
    def of(cls, parts: Sequence[Part], features: tuple[str, ...], calibration: Calibration | None = None) -> "Ensemble":
        """Members in the order in which they are added.

        Raises:
            FeaturesDiffer: a member knows other features than these.
            ModelTextRefused: there is no member, or their links differ.
        """
        curves = {(part.model.curve.link, part.model.curve.sigmoid) for part in parts}
        if len(curves) != 1 or any(part.weight < 1 for part in parts):
            raise ModelTextRefused("an ensemble has members, with weights, whose raw scores are on one scale")
        for part in parts:
            unknown = [name for name in part.model.features if name not in features]
            if unknown:
                raise FeaturesDiffer(f"member `{part.name}` knows `{unknown[0]}`, which is no feature of the ensemble")
        codes = {name for part in parts for name in part.model.categorical}
        [(link, sigmoid)] = curves
        curve = Curve(link, sigmoid, calibration)
        return cls(features, tuple(name for name in features if name in codes), curve, tuple(parts))

    def only(self, engine: str) -> "Ensemble":
        """The same, scored by one engine, KERNEL or LIGHTGBM of `models.kernel.choice`, whatever the rows."""
        parts = tuple(replace(part, model=part.model.only(engine)) for part in self.parts)
        return replace(self, parts=parts, _only=engine, _proof=None, _asked=Asked())

    def proven_by(self, proof: Callable[["Ensemble"], None]) -> "Ensemble":
        """The same; the kernel, once it is chosen, has to pass `proof` first, as an ensemble that it alone scores."""
        return replace(self, _proof=proof, _asked=Asked())

    def engine_for(self, rows: int, threads: int = 1) -> str:
        """Which engine scores so many rows, of all members: `kernel`, or `lightgbm predict` and why."""
        if self._only:
            return self._only
        why = refused([part.model.kernel for part in self.parts], rows, threads)
        return f"{LIGHTGBM}: {why}" if why else KERNEL

    def raw_scores(
        self,
        frame: pl.DataFrame,
        order: Sequence[str] = (),
        threads: int = 1,
        batch_rows: int = 65_536,
        of_rows: int = 0,
    ) -> Floats:
        """One raw score a row of `frame`, in its order; as `Model.raw_scores`, member after member."""
        chosen = chosen_features(frame, order, self.features, self.categorical)
        engine = self._engine(chosen.height, of_rows, threads)
        return self._added(
            lambda model: model.by(engine).raw_of_chosen(chosen.select(model.features), threads, batch_rows, of_rows)
        )

    def raw_of(self, matrix: Floats, threads: int, batch_rows: int = 65_536) -> Floats:
        """One raw score a row of a matrix of the ensemble's features."""
        engine = self._engine(len(matrix), 0, threads)
        place = {name: at for at, name in enumerate(self.features)}

        def raw(model: Model) -> Floats:
            own = np.ascontiguousarray(matrix[:, [place[name] for name in model.features]])
            return model.by(engine).raw_of(own, threads, batch_rows)

        return self._added(raw)

    def _engine(self, rows: int, of_rows: int, threads: int) -> str:
        """The engine of all members; the kernel has passed the proof."""
        engine = KERNEL if self.engine_for(max(rows, of_rows), threads) == KERNEL else LIGHTGBM
        if engine == KERNEL and rows and not self._asked.passed and not self._only:
            if self._proof:
                self._proof(self.only(KERNEL))
            self._asked.passed = True
        return engine

    def _added(self, raw: Callable[[Model], Floats]) -> Floats:
        """The weighted mean, in the declared order."""
        first, *others = self.parts
        total = raw(first.model) * float(first.weight)
        for part in others:
            total = total + raw(part.model) * float(part.weight)
        return total / float(sum(part.weight for part in self.parts))

    def probability(self, raw: Floats) -> Floats:
        """One score a raw score, as `Model.probability`."""
        return self.curve.scores(raw, compiled=self._asked.passed)


type Scorer = Model | Ensemble
