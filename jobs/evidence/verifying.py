"""Verifying: replay runs from what they kept, without the warehouse, and name the first stage that differs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jobs.evidence.golden import side_by_side
from jobs.evidence.stages import STAGES, Proven, Replay
from jobs.exits import failure_of, known_failures
from jobs.store.documents import DocumentDamaged
from jobs.store.events import ChainBroken, read_chain
from jobs.store.runs import RunMissing, find_folder, kept_runs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from jobs.definition import Job
    from jobs.evidence.golden import Differences
    from jobs.exits import Failure
    from jobs.screen import Tell
    from jobs.store.home import Home

IDENTICAL, DIFFERENT, NOT_REACHED = "identical", "differs", "not reached"
DIFFERS, INTEGRITY = 81, 80
FEWEST_A_PROCESS = 4  # fewer replays are over before another process has loaded what it needs
_OWN_CODE = {74, 77, INTEGRITY}  # of the disk, the owner, the evidence; whatever else stops a replay, it differs


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the replay of one run found: each stage's state, the first that differs, and what differs in it.

    `differences` say in which ways this environment is another than that of the run's model.
    """

    job: str
    as_of: str
    run_id: str
    stages: Mapping[str, str]
    first_divergence: str | None = None
    detail: str = ""
    code: int = 0
    model_version: str | None = None
    differences: Differences = field(default_factory=dict)

    @property
    def identical(self) -> bool:
        """Whether every stage gave what was kept."""
        return self.first_divergence is None


@dataclass(frozen=True, slots=True)
class Choice:
    """Which runs are replayed: those that are named, or all, or else the one that was shown last of each job.

    `required`: it is an error if none was shown yet.
    """

    run_ids: Sequence[str]
    everything: bool = False
    required: bool = True


def verify_runs(
    jobs: Sequence[Job], home: Home, choice: Choice, threads: int, environ: Mapping[str, str], tell: Tell
) -> list[Verdict]:
    """Replay runs of the jobs of a project; the verdicts stand in the order of the names, else by job, as-of and id.

    Many of them are replayed by as many processes, of this environment, as there may be threads.

    Raises:
        RunMissing: if one that is named is not kept, or none was shown yet and that is an error.
    """
    by_name = {job.name: job for job in jobs}
    chosen = _chosen(home, tuple(by_name), choice)
    if choice.required and not chosen and not choice.everything:
        raise RunMissing("nothing was published yet, so there is nothing to verify; see: score run")
    processes = min(threads, len(chosen) // FEWEST_A_PROCESS)
    if processes > 1:
        from jobs.evidence.sharing import verify_apart  # noqa: PLC0415  few replays need no other process

        return verify_apart(jobs[0].project, home, chosen, processes, environ, tell)
    proven, verdicts = Proven(), []
    for done, folder in enumerate(chosen):
        job, as_of = folder.parent.parent.name, folder.parent.name
        tell(f"replaying {job} as of {as_of}", done / len(chosen))
        verdicts.append(verify_run(by_name[job], home, folder, proven))
    return verdicts


def _chosen(home: Home, jobs: Sequence[str], choice: Choice) -> list[Path]:
    """The folders of the runs to replay; what lies in them is looked at by the replay."""
    if choice.run_ids:
        return [find_folder(home, run_id, jobs) for run_id in choice.run_ids]
    if choice.everything:
        return list(kept_runs(home, jobs))
    return [folder for job in jobs for folder in _newest(home, job)]


def _newest(home: Home, job: str) -> list[Path]:
    """The run that was shown last; if the events cannot say which, the newest kept: its replay says what is wrong."""
    try:
        shown = read_chain(home, job).current().values()
    except (ChainBroken, DocumentDamaged):
        return list(kept_runs(home, [job])[-1:])
    last = max(shown, key=lambda event: event.seq, default=None)
    return [home.runs(job, last.as_of) / str(last.run_id)] if last else []


def verify_run(job: Job, home: Home, folder: Path, proven: Proven | None = None) -> Verdict:
    """Replay the run that lies in a folder, stage by stage, in order, up to the first that differs.

    What is `proven` need not be looked at again; what is found whole is added.
    """
    replay = Replay(job, home, folder, proven or Proven())
    stages = dict.fromkeys(STAGES, NOT_REACHED)
    for stage, compare in STAGES.items():
        try:
            compare(replay)
        except known_failures() as error:
            failure = failure_of(error)
            if failure is None:
                raise
            return _verdict(replay, {**stages, stage: DIFFERENT}, stage, failure)
        stages[stage] = IDENTICAL
    return _verdict(replay, stages)


def _verdict(
    replay: Replay, stages: Mapping[str, str], stage: str | None = None, failure: Failure | None = None
) -> Verdict:
    code = 0 if failure is None else failure.code if failure.code in _OWN_CODE else DIFFERS
    detail = failure.message if failure else ""
    if code == DIFFERS and replay.differences:
        detail += f" (in another environment than the model's: {side_by_side(replay.differences)})"
    folder, version = replay.folder, replay.kept.inputs.model_version if replay.kept else None
    return Verdict(
        replay.job.name, folder.parent.name, folder.name, stages, stage, detail, code, version, replay.differences
    )
