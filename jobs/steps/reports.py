"""Results as the command line prints them: for each, the JSON document and the lines that a person reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.evidence.golden import side_by_side
from jobs.evidence.verifying import DIFFERENT, IDENTICAL, INTEGRITY, NOT_REACHED
from jobs.exits import Failure
from jobs.screen import error_json, say, table
from jobs.steps.failed import lines_of_failed
from jobs.steps.nights import exit_code
from jobs.steps.qualities import quality_lines
from jobs.steps.trainings import exit_code as exit_code_of_trainings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from jobs.evidence.golden import Differences, Ready
    from jobs.evidence.retraining import Retrained
    from jobs.evidence.verifying import Verdict
    from jobs.queries.rendering import Renewed
    from jobs.screen import Screen
    from jobs.steps.nights import Outcome
    from jobs.steps.snapshots import Look
    from jobs.steps.training import Trained
    from jobs.steps.trainings import NotTrained
    from jobs.store.events import Event
    from jobs.store.ledger import Mutation
    from jobs.store.registry import ModelVersion

SHORT = 12
_MOST_LINES = 40
_MARKS = {IDENTICAL: "=", DIFFERENT: "x", NOT_REACHED: "."}


def show_looks(screen: Screen, looks: Sequence[Look]) -> None:
    """Snapshots that were found or taken, and what changed since the one that each was compared with."""
    content = [_look_json(look) for look in looks]
    one = content[0] if len(content) == 1 else {"snapshots": content}
    screen.show(one, lambda: _each(_look_lines, looks))


def _look_json(look: Look) -> dict[str, object]:
    snapshot = look.snapshot
    found = look.comparison
    return {
        "job": snapshot.job,
        "as_of": snapshot.as_of,
        "digest": snapshot.digest,
        "kept": look.kept,
        "tables": {each.name: {"rows": each.rows, "digest": each.digest} for each in snapshot.tables},
        "compared_with": look.compared_with.digest if look.compared_with else None,
        "changed": [
            {"table": m.table, "kind": m.kind.value, "key": m.key, "before": m.before, "after": m.after}
            for m in (found.mutations if found else ())
        ],
        "arrivals": dict(found.arrivals) if found else {},
    }


def _look_lines(look: Look) -> None:
    snapshot = look.snapshot
    state = "kept" if look.kept else "looked at again, not kept"
    say(f"snapshot {snapshot.digest[:SHORT]} of {snapshot.job} as of {snapshot.as_of}: {state}")
    rows = [(each.name, each.rows, len(each.partitions), each.digest[:SHORT]) for each in snapshot.tables]
    table(("table", "rows", "partitions", "digest"), rows, numbers=("rows", "partitions"))
    if look.comparison is None or look.compared_with is None:
        return
    before = look.compared_with
    found = look.comparison.mutations
    say()
    say(f"against {before.digest[:SHORT]} as of {before.as_of}: {len(found):,} rows of the past changed")
    if found:
        shown = found[:_MOST_LINES]
        table(("table", "kind", "key", "before", "after"), [_mutation_cells(m) for m in shown])
        if len(found) > len(shown):
            say(f"... and {len(found) - len(shown):,} more; all of them with --json")


def _mutation_cells(mutation: Mutation) -> tuple[str, ...]:
    key = " ".join(str(value) for value in mutation.key.values())
    return mutation.table, mutation.kind.value, key, _values(mutation.before), _values(mutation.after)


def _each[T](lines: Callable[[T], None], things: Iterable[T]) -> None:
    for thing in things:
        lines(thing)


def _values(row: Mapping[str, object] | None) -> str:
    return "-" if row is None else ", ".join(f"{name}={value}" for name, value in row.items())


def show_trained(screen: Screen, trained: Sequence[Trained], failed: Sequence[NotTrained] = ()) -> int:
    """Model versions that were trained, and how well a model of their kind did out of time; returns the exit code."""
    code = exit_code_of_trainings(trained, failed)
    content: dict[str, object] = {"trained": [_trained_json(each) for each in trained]}
    if failed:
        content["error"] = error_json(Failure(code, failed[0].failure.message))
        content["failed"] = [{"job": each.job, "error": error_json(each.failure)} for each in failed]
    alone = len(trained) == 1 and not failed
    screen.show(_trained_json(trained[0]) if alone else content, lambda: _each(_trained_lines, trained))
    for each in failed:
        screen.warn(f"{each.job}: {each.failure.message}")
    return code


def _trained_json(each: Trained) -> dict[str, object]:
    version = each.version
    return {
        "job": version.job,
        "model_version": version.version,
        "as_of": version.as_of,
        "rows": each.rows,
        "metrics": version.metrics,
        "training": version.training,
        "snapshot_digest": version.snapshot_digest,
        "champion": each.champion,
        "members": [{"name": one.name, "weight": one.weight, "nights": one.nights} for one in version.members],
        "calibration": version.calibration,
    }


def _trained_lines(each: Trained) -> None:
    version = each.version
    role = "champion" if each.champion else "challenger"
    facts = version.training
    nights = f"{facts['nights']} nights from {facts['first_night']} to {facts['last_night']}"
    say(f"model {version.version} of {version.job} ({role}): {each.rows:,} rows, {nights}")
    for line in made_of(version):
        say(line)
    quality_lines(version.metrics.get("quality"), "on the last nights, by a model of the nights before them")
    if not each.champion:
        say(f"make it champion: score promote {version.version} {version.job} --reason '...'")


def made_of(version: ModelVersion) -> list[str]:
    """The members of an ensemble, and by which nights its scores are calibrated; nothing for a plain model."""
    members = [f"{each.name} × {each.weight} ({each.nights} nights)" for each in version.members]  # noqa: RUF001  times
    said = [f"the weighted mean of {len(members)} members: {', '.join(members)}"] if members else []
    found = version.calibration
    fitted = found.get("fitted") if found else None
    if found and isinstance(fitted, dict):
        said.append(
            f"scores calibrated ({fitted['method']}) by the nights {found['first_night']} to {found['last_night']}"
        )
    return said


def show_outcomes(screen: Screen, outcomes: Sequence[Outcome]) -> int:
    """What became of each night; returns the exit code."""
    code = exit_code(outcomes)
    content: dict[str, object] = {"runs": [outcome_json(each) for each in outcomes]}
    failed = [each for each in outcomes if each.failure]
    if failed and failed[0].failure:
        content["error"] = error_json(Failure(code, failed[0].failure.message))
    screen.show(content, lambda: _outcome_lines(outcomes))
    for line in lines_of_failed(outcomes):
        screen.warn(line)
    return code


def outcome_json(outcome: Outcome) -> dict[str, object]:
    """One night as JSON has it."""
    run = outcome.run
    return {
        "run_id": run.run_id if run else None,
        "job": outcome.job,
        "as_of": outcome.as_of,
        "model_version": run.inputs.model_version if run else None,
        "snapshot_digest": run.inputs.snapshot_digest if run else None,
        "scores_digest": run.scores_digest if run else None,
        "row_count": run.row_count if run else None,
        "status": outcome.status,
        "environment": _ready_json(outcome.ready) if outcome.ready else None,
        **({"error": error_json(outcome.failure)} if outcome.failure else {}),
    }


def _ready_json(ready: Ready) -> dict[str, object]:
    return {**environment_json(ready.differences), "proven_by": list(ready.proven_by)}


def _outcome_lines(outcomes: Sequence[Outcome]) -> None:
    """A line a night; and where it is another environment than a model's, how it was proven equal."""
    _each(_say_outcome, outcomes)
    scored = [(each.run.inputs.model_version, each.ready) for each in outcomes if each.run and each.ready]
    for version, ready in dict(scored).items():
        if ready.differences:
            say(
                f"in another environment than that of model {version}: {side_by_side(ready.differences)}; "
                f"proven equal by {' and '.join(ready.proven_by)}"
            )


def _say_outcome(outcome: Outcome) -> None:
    if not outcome.failure:
        say(outcome_line(outcome))


def outcome_line(outcome: Outcome) -> str:
    """What became of a night, in one line."""
    run, night = outcome.run, f"{outcome.job} as of {outcome.as_of}"
    if outcome.failure:
        return f"{night}: {outcome.failure.message}"
    if run is None:
        return f"{outcome.status} {night}"
    done = "recorded in the history:" if outcome.history_only else outcome.status.replace("_", " ")
    took = "" if outcome.seconds is None else f", {outcome.seconds:.1f} s"
    return f"{done} {night}: {run.row_count:,} scores, run {run.run_id[:SHORT]}, model {run.inputs.model_version}{took}"


def show_verdicts(
    screen: Screen,
    verdicts: Sequence[Verdict],
    retrained: Sequence[Retrained] | None = None,
    damaged: Sequence[Failure] | None = None,
) -> int:
    """What each replay, each training and each look at a stored file found; null was not asked for. The exit code."""
    content: dict[str, object] = {"runs": [_verdict_json(each) for each in verdicts]}
    if retrained is not None:
        content["models"] = [_retrained_json(each) for each in retrained]
    if damaged is not None:
        content["damaged"] = [each.message for each in damaged]
    screen.show(content, lambda: _verdict_lines(verdicts, retrained, damaged))
    differing = [each for each in verdicts if not each.identical]
    others = [each for each in retrained or () if not each.identical]
    for each in differing:
        screen.warn(f"run {each.run_id} differs at stage {each.first_divergence}: {each.detail}")
    for version in others:
        screen.warn(f"model {version.model_version} of {version.job}: {version.detail}")
    for failure in damaged or ():
        screen.warn(failure.message)
    codes = [
        *(each.code for each in differing),
        *(each.code for each in others),
        *(each.code for each in damaged or ()),
    ]
    return INTEGRITY if INTEGRITY in codes else max(codes, default=0)


def _verdict_json(verdict: Verdict) -> dict[str, object]:
    return {
        "run_id": verdict.run_id,
        "job": verdict.job,
        "as_of": verdict.as_of,
        "identical": verdict.identical,
        "first_divergence": verdict.first_divergence,
        "detail": verdict.detail or None,
        "stages": verdict.stages,
        "model_version": verdict.model_version,
        "environment": environment_json(verdict.differences) if verdict.model_version else None,
    }


def _retrained_json(each: Retrained) -> dict[str, object]:
    return {
        "model_version": each.model_version,
        "job": each.job,
        "identical": each.identical,
        "detail": each.detail or None,
        "environment": environment_json(each.differences),
    }


def environment_json(differences: Differences) -> dict[str, object]:
    """Whether this environment is the model's, and what was there and is here where it is not."""
    return {"same": not differences, "differs": {name: list(both) for name, both in differences.items()}}


def _verdict_lines(
    verdicts: Sequence[Verdict], retrained: Sequence[Retrained] | None, damaged: Sequence[Failure] | None
) -> None:
    _each(_stage_lines, verdicts) if len(verdicts) == 1 else _stage_table(verdicts)
    same = sum(1 for each in verdicts if each.identical)
    say(f"{same} of {len(verdicts)} replayed identically, every stage")
    for version, differences in {each.model_version: each.differences for each in verdicts if each.differences}.items():
        say(f"in another environment than that of model {version}: {side_by_side(differences)}")
    for each in retrained or ():
        found = "the same text, byte for byte" if each.identical else "NOT THE SAME"
        say(f"model {each.model_version} of {each.job}, trained again: {found}")
    if damaged is not None:
        say(f"every stored file was read: {len(damaged) or 'none'} damaged or missing")


def _stage_lines(verdict: Verdict) -> None:
    """One run, a stage a line."""
    say(f"run {verdict.run_id} of {verdict.job} as of {verdict.as_of}")
    table(("stage", "replay"), list(verdict.stages.items()))


def _stage_table(verdicts: Sequence[Verdict]) -> None:
    """Many runs, a mark a stage."""
    rows = [
        (
            each.job,
            each.as_of,
            each.run_id[:SHORT],
            "".join(_MARKS[state] for state in each.stages.values()),
            "identical" if each.identical else f"differs: {each.first_divergence}",
        )
        for each in verdicts
    ]
    table(("job", "as of", "run", "stages", "replay"), rows)
    if rows:
        say(f"stages ({', '.join(f'{mark} {state}' for state, mark in _MARKS.items())}):")
        say(f"  {' '.join(verdicts[0].stages)}")


def show_promotion(screen: Screen, job: str, event: Event) -> None:
    """A promotion as it stands on record."""
    content = {
        "job": job, "model_version": event.model_version, "effective_from": event.as_of, "reason": event.reason,
        "unproven": event.unproven,
    }  # fmt: skip
    how = " (unproven, which stays on record)" if event.unproven else ""
    screen.show(
        content, lambda: say(f"{event.model_version} is champion of {job} from {event.as_of} on: {event.reason}{how}")
    )


def show_skipped(screen: Screen, job: str, event: Event) -> None:
    """A closed night as it stands on record."""
    content = {"job": job, "as_of": event.as_of, "reason": event.reason, "status": "skipped"}
    screen.show(content, lambda: say(f"skipped {job} as of {event.as_of}: {event.reason}"))


def show_released(screen: Screen, released: Mapping[str, Sequence[str]], renewed: Mapping[str, Renewed]) -> None:
    """Which SQL files were put on the list, which renderings were written, and what some engine cannot be given."""

    def lines() -> None:
        for job, names in released.items():
            say(f"{job}: {'released ' + ', '.join(names) if names else 'nothing new to release'}")
            for path in renewed[job].written:
                say(f"{job}: rendered {path.parent.name}/{path.name}; review it")
            for refusal in renewed[job].refused:
                say(f"{job}: not rendered: {refusal}")

    content = {
        "released": {job: list(names) for job, names in released.items()},
        "rendered": {
            job: [f"{path.parent.name}/{path.name}" for path in each.written] for job, each in renewed.items()
        },
        "not_rendered": {job: [str(refusal) for refusal in each.refused] for job, each in renewed.items()},
    }
    screen.show(content, lines)
