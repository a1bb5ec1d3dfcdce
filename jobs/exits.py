"""The exit code of every known failure, in one table; everything else is a bug."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

CODES: Mapping[int, str] = {
    0: "ok",
    2: "usage",
    3: "incomplete",
    65: "data",
    66: "input",
    69: "unavailable",
    70: "bug",
    74: "io",
    75: "busy",
    77: "permission",
    78: "config",
    80: "integrity",
    81: "differs",
    130: "signal",
    143: "signal",
}

# By the name of the class, so that reading the table loads no library: `score --help` need not wait for LightGBM.
FAILURES: Mapping[str, int] = {
    # analysts see less than there is
    "jobs.doctor.of_jobs.ViewsBehind": 3,
    # arguments
    "jobs.authoring.asking.NobodyAnswers": 2,
    "jobs.authoring.confirming.NotWanted": 2,
    "jobs.authoring.making.FolderOfTheProgram": 2,
    "jobs.authoring.wishes.WishIncomplete": 2,
    "jobs.authoring.wishes.WishRefused": 2,
    "jobs.authoring.writing.JobNameRefused": 2,
    "jobs.differences.differing.JobsDiffer": 2,
    "jobs.research.DayRefused": 2,
    "jobs.research.NotOneNight": 2,
    "jobs.steps.begun.AsOfInFuture": 2,
    "jobs.steps.demo.DemoElsewhere": 2,
    "jobs.steps.nights.OptionsContradict": 2,
    "jobs.steps.promotion.EffectiveFromRefused": 2,
    "jobs.steps.promotion.NightPublished": 2,
    "jobs.proofs.proving.ProofUnknown": 2,
    "jobs.store.home.NameRefused": 2,
    "jobs.steps.inventory.QueryFailed": 2,
    # the data
    "features.contract.RowsDiffer": 65,
    "features.exact.NotWhole": 65,
    "jobs.authoring.spans.HistoryTooShort": 65,
    "jobs.authoring.wishes.KeyNotFound": 65,
    "features.fitted.declaring.NothingToLearn": 65,
    "features.versions.VersionsTie": 65,
    "jobs.steps.tables.ExtractEmpty": 65,
    "jobs.steps.tables.ExtractTorn": 65,
    "jobs.steps.evaluating.NothingHappened": 65,
    "jobs.steps.gate.RowCountFar": 65,
    "jobs.availability.ColumnsUnavailable": 65,
    "jobs.steps.scoring.LabelsUnseen": 65,
    "jobs.steps.scoring.PopulationEmpty": 65,
    "jobs.steps.scoring.ScoreNotFinite": 65,
    "jobs.steps.training.LabelsMissing": 65,
    "jobs.steps.training.NightsMissing": 65,
    "jobs.store.partitions.NotFinite": 65,
    "jobs.warehouse.extraction.KeyBroken": 65,
    "jobs.warehouse.extraction.SourceDiffers": 65,
    "jobs.warehouse.servers.score_tables.TablesReshaped": 65,
    "models.matrix.NotExact": 65,
    "models.matrix.CodesRefused": 65,
    "models.matrix.LabelsRefused": 65,
    "models.calibration.CalibrationFailed": 65,
    "models.training.TooFewNights": 65,
    # something that is asked for is not there
    "jobs.differences.rewriting.NothingPublishedSince": 66,
    "jobs.differences.swapping.NotExecutable": 66,
    "features.contract.ColumnsDiffer": 66,
    "jobs.definition.JobMissing": 66,
    "jobs.project.ProjectMissing": 66,
    "jobs.queries.source.QueryMissing": 66,
    "jobs.steps.inventory.NothingOnRecord": 66,
    "jobs.steps.inventory.NothingPublished": 66,
    "jobs.steps.scoring.FeaturesOfAnotherVersion": 66,
    "jobs.steps.scoring.SqlOfAnotherVersion": 66,
    "jobs.store.events.ChampionMissing": 66,
    "jobs.store.registry.ModelMissing": 66,
    "jobs.store.runs.RunMissing": 66,
    "jobs.store.snapshots.SnapshotMissing": 66,
    "jobs.warehouse.extraction.WarehouseMissing": 66,
    "jobs.warehouse.sample_database.WarehouseExists": 66,
    "jobs.warehouse.sample_files.SampleDamaged": 66,
    "jobs.warehouse.sample_files.SampleMissing": 66,
    "models.matrix.FeaturesDiffer": 66,
    # the warehouse
    "jobs.warehouse.extraction.WarehouseUnavailable": 69,
    "jobs.warehouse.servers.session.ServerFaltered": 69,
    "jobs.warehouse.servers.watch.PeerSilent": 69,
    # the machine
    "jobs.doctor.of_the_place.DiskTooSmall": 74,
    "jobs.doctor.of_the_place.FileSystemRefused": 74,
    "jobs.evidence.sharing.ReplayerLost": 74,
    "jobs.store.locks.Busy": 75,
    "jobs.doctor.of_the_place.OwnerWrong": 77,
    "jobs.warehouse.extraction.WarehouseForbidden": 77,
    # configuration
    "jobs.authoring.warehouse.EngineNotRead": 78,
    "jobs.authoring.writing.JobExists": 78,
    "features.clock.CutoffDiffers": 78,
    "features.contract.FeatureSetRefused": 78,
    "features.clock.ZoneUnknown": 78,
    "features.fitted.declaring.TransformRefused": 78,
    "jobs.availability.ColumnsUndeclared": 78,
    "jobs.availability.DefaultRefused": 78,
    "jobs.availability.PolicyRefused": 78,
    "jobs.definition.JobRefused": 78,
    "jobs.doctor.of_jobs.ClockWrong": 78,
    "jobs.doctor.of_the_installation.InstallationDiffers": 78,
    "jobs.queries.dialects.NotRenderable": 78,
    "jobs.kill_points.KillPointUnknown": 78,
    "jobs.modules.ModuleRefused": 78,
    "jobs.project.ProjectRefused": 78,
    "jobs.doctor.of_the_telling.TellingRefused": 78,
    "jobs.queries.released.QueryNotReleased": 78,
    "jobs.queries.rendering.RenderingStale": 78,
    "jobs.queries.source.DeclarationRefused": 78,
    "jobs.queries.source.QueryRefused": 78,
    "jobs.settings.SettingRefused": 78,
    "jobs.warehouse.addresses.AddressRefused": 78,
    "jobs.warehouse.servers.session.StatementRefused": 78,
    "jobs.store.digest.TypeNotEncodable": 78,
    "jobs.store.home.HomeUnknown": 78,
    "models.library.LibraryMissing": 78,
    "models.parameter_file.ParametersRefused": 78,
    # stored evidence
    "jobs.collecting.choosing.MostWouldGo": 80,
    "jobs.collecting.choosing.StateIncomplete": 80,
    "features.fitted.state.FittedRefused": 80,
    "jobs.queries.released.QueryEdited": 80,
    "jobs.queries.released.ReleaseListDamaged": 80,
    "jobs.store.documents.DocumentDamaged": 80,
    "jobs.store.documents.DocumentMissing": 80,
    "jobs.store.events.ChainBroken": 80,
    "jobs.store.objects.ObjectDamaged": 80,
    "jobs.store.objects.ObjectMissing": 80,
    "jobs.store.registry.ModelOfAnotherJob": 80,
    "jobs.store.runs.RunDamaged": 80,
    "jobs.store.snapshots.SnapshotDamaged": 80,
    "jobs.warehouse.servers.score_tables.TablesOfAnotherHome": 80,
    "models.booster.ModelTextRefused": 80,
    "models.calibration.CalibrationUnknown": 80,
    # a replay
    "jobs.evidence.golden.GoldenNightDiffers": 81,
    "jobs.proofs.trial.DoesNotHold": 81,
    "jobs.proofs.witness.WitnessFailed": 81,
    "jobs.steps.promotion.NotProven": 81,
    "jobs.evidence.golden.GoldenRowsDiffer": 81,
    "jobs.evidence.stages.ReplayDiffers": 81,
    "jobs.store.runs.ScoresDiffer": 81,
    "models.scorer.EnginesDiffer": 81,
}


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong, for whoever is on call: the exit code, its name, one line."""

    code: int
    message: str

    @property
    def name(self) -> str:
        """The name of the code."""
        return CODES[self.code]


@cache
def known_failures() -> tuple[type[Exception], ...]:
    """Every class that stands for a known failure, for `except`; loads the modules that define them."""
    import duckdb  # noqa: PLC0415  `score --help` need not wait for it

    named = (name.rpartition(".") for name in FAILURES)
    ours = tuple(getattr(import_module(module), kind) for module, _, kind in named)
    return (*ours, OSError, duckdb.Error)


def failure_of(error: BaseException) -> Failure | None:
    """The failure that an exception stands for; null if it is a bug."""
    for kind in type(error).__mro__:
        code = FAILURES.get(f"{kind.__module__}.{kind.__qualname__}")
        if code is not None:
            return Failure(code, _one_line(str(error)))
    if isinstance(error, PermissionError):
        return Failure(
            77, _one_line(f"{error.strerror}: {error.filename or 'it is not said of what'}; check the owner and mode")
        )
    if isinstance(error, OSError) and error.errno in _IO:
        return Failure(
            74, _one_line(f"{error.strerror}: {error.filename or 'while writing'}; free space, look at the disk")
        )
    if type(error).__module__ == "_duckdb" and _DISK.search(_told(error)):
        return Failure(74, _one_line(str(error).split("\n", maxsplit=1)[0] + "; free space, look at the disk"))
    return None


# DuckDB wraps what the disk says in whichever of its exceptions it was about to raise.
_DISK = re.compile(r"No space left|Input/output error|Disk quota|Read-only file system|[Cc]ould not write|OutOfMemory")
_IO = {errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT, errno.EFBIG, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}


def _told(error: BaseException) -> str:
    """The first lines of an exception and of what led to it."""
    said = f"{type(error).__name__}: {error}".split("\n", maxsplit=1)[0]
    before = error.__cause__ or error.__context__
    return f"{said} ({_told(before)})" if before is not None and before is not error else said


def _one_line(text: str) -> str:
    return " ".join(text.split())
