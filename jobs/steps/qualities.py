"""How good a model is, as a person reads it: what it reached, beside a constant and beside the naive score."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.screen import say, table

if TYPE_CHECKING:
    from collections.abc import Mapping


def quality_lines(found: object, where: str) -> None:
    """The measures of a kind, those of the constant and of the naive score below them, and calibration by tenths."""
    if not isinstance(found, dict):
        return
    if "auc" in found:
        _of_probabilities(found, where)
    else:
        _of_amounts(found, where)


def short_quality(found: object) -> str | None:
    """The measure that versions of a job are compared by, and that of the naive score; null if there is none."""
    if not isinstance(found, dict):
        return None
    baseline = found.get("baseline")
    name, short = ("AUC", "auc") if "auc" in found else ("RMSE", "rmse")
    if found[short] is None:
        return None
    beside = f" (naive {_number(baseline[short])})" if isinstance(baseline, dict) else ""
    return f"{name} {_number(found[short])}{beside}"


def _of_probabilities(found: Mapping[str, object], where: str) -> None:
    auc = "no AUC (one class only)" if found["auc"] is None else f"AUC {_number(found['auc'])}"
    say(
        f"{auc}, log loss {_number(found['log_loss'])} (base rate: {_number(found['base_log_loss'])}), "
        f"Brier {_number(found['brier'])} (base rate: {_number(found['base_brier'])}) {where}"
    )
    baseline = found.get("baseline")
    if isinstance(baseline, dict):
        say(
            f"naive ({baseline['feature']}): AUC {_number(baseline['auc'])}, "
            f"log loss {_number(baseline['log_loss'])}, Brier {_number(baseline['brier'])}"
        )
    _tenths(found, ("decile", "rows", "mean score", "observed"))


def _of_amounts(found: Mapping[str, object], where: str) -> None:
    say(
        f"RMSE {_number(found['rmse'])} (constant: {_number(found['base_rmse'])}), "
        f"MAE {_number(found['mae'])} (constant: {_number(found['base_mae'])}), R2 {_number(found['r2'])}, "
        f"mean error {_number(found['mean_error'])}, rank correlation {_number(found['spearman'])}, "
        f"highest tenth had {_share(found['top_tenth_share'])} {where}"
    )
    baseline = found.get("baseline")
    if isinstance(baseline, dict):
        say(
            f"naive ({baseline['feature']}): RMSE {_number(baseline['rmse'])}, MAE {_number(baseline['mae'])}, "
            f"mean error {_number(baseline['mean_error'])}, rank correlation {_number(baseline['spearman'])}, "
            f"highest tenth had {_share(baseline['top_tenth_share'])}; {_against(baseline['r2_over'])}"
        )
    _tenths(found, ("tenth", "rows", "mean score", "observed"))


def _against(spared: object) -> str:
    """Whether the model beats the naive score, in its squared error."""
    if not isinstance(spared, float):
        return "it makes no error"
    return f"the model spares {spared:.1%} of its squared error" if spared > 0 else "THE MODEL IS NO BETTER"


def _tenths(found: Mapping[str, object], headings: tuple[str, ...]) -> None:
    tenths = found["calibration"]
    rows = [tuple(each.values()) for each in tenths] if isinstance(tenths, list | tuple) else []
    table(headings, rows, numbers=headings)


def _number(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else "none"


def _share(value: object) -> str:
    return f"{value:.1%} of all" if isinstance(value, float) else "none of nothing"
