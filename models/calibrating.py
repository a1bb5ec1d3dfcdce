"""How scores are to be calibrated, as a parameter file asks for it.

    [calibration]
    method = "isotonic"           # or "platt"
    between = "line"              # isotonic: a score between two blocks lies on the line between them; or "step"
    least_rows = 200              # isotonic: the fewest rows of a block

Without the table, or with nothing in it, a score is what the objective makes of the raw score. Only the standard
library is imported here (see `models.parameters`); the fitting is `models.calibration`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, cast

from models.parameter_file import Source
from models.tunables import one_of, whole

CALIBRATION = "calibration"

type Method = Literal["isotonic", "platt"]
type Between = Literal["line", "step"]

_OF_ISOTONIC = MappingProxyType({"between": one_of("line", "step"), "least_rows": whole(1, 1_000_000_000)})


@dataclass(frozen=True)
class Asked:
    """What a parameter file asks for; `between` and `least_rows` are of isotonic calibration alone."""

    method: Method
    between: Between = "line"
    least_rows: int = 200

    def to_json(self) -> dict[str, object]:
        """As a parameter file would say it, with what it left out."""
        own = {name: getattr(self, name) for name in _OF_ISOTONIC} if self.method == "isotonic" else {}
        return {"method": self.method, **own}

    @classmethod
    def from_json(cls, content: Mapping[str, object]) -> "Asked":
        """What `to_json` wrote."""
        return cls(**cast("dict[str, int]", content))  # type: ignore[arg-type]


def read_calibration(declared: object, source: Source) -> Asked | None:
    """What the table asks for, held to the rules; null if it is empty."""
    if not isinstance(declared, dict):
        raise source.refusal(CALIBRATION, f"`{CALIBRATION}` should be a table")
    if not declared:
        return None
    method = declared.get("method")
    source.check("method", method, one_of("isotonic", "platt")(method), CALIBRATION)
    for key, value in declared.items():
        if key not in ("method", *_OF_ISOTONIC):
            raise source.refusal(
                key, f"`{key}` is not an entry of `calibration`: method, between, least_rows", CALIBRATION
            )
        if key != "method" and method != "isotonic":
            raise source.refusal(key, f"`{key}` is of isotonic calibration alone", CALIBRATION)
        if key != "method":
            source.check(key, value, _OF_ISOTONIC[key](value), CALIBRATION)
    return Asked.from_json(declared)
