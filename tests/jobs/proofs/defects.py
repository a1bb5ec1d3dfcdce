"""Seeded defects: what people get wrong, as edits of the source, and which proof should notice each.

`python bench/seeded_defects.py` puts all of them to all proofs, and counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FEATURES, SWEEP, FITTED = "features/flight_delay.py", "features/sweep.py", "features/fitted/labelling.py"
SQL = "sql/flight_delay/outcomes_v1.sql"


@dataclass(frozen=True)
class Defect:
    """One defect: texts of a file that become others, and who should notice: a proof, or a refusal by exit code."""

    name: str
    path: str
    old: str
    new: str
    caught_by: str
    also: tuple[tuple[str, str], ...] = ()
    beside: tuple[tuple[str, str, str], ...] = ()
    """Path, old and new text of other files: what the job must declare for the defect to matter."""

    def seed(self, tree: Path) -> None:
        """Put the defect into a copy of the source tree."""
        here = ((self.path, old, new) for old, new in ((self.old, self.new), *self.also))
        for name, old, new in (*here, *self.beside):
            path = tree / name
            text = path.read_text(encoding="utf-8")
            assert text.count(old) == 1, f"{name} has {text.count(old)} times: {old}"
            path.write_text(text.replace(old, new), encoding="utf-8")


_DEST_LON = 'dest_lon_deg=scaled("lon_micro_deg", 1_000_000)'
_WEEKDAY = 'weekday=pl.col("as_of").dt.weekday().cast(pl.Int32)'
_SEATS = 'plane_seats="seats"'


def _declaring(transform: str) -> tuple[tuple[str, str, str], ...]:
    """The job with one more transform."""
    declared = f"from features import fitted\n\nTRANSFORMS = (fitted.{transform},)\n\n\ndef build_features("
    return ((FEATURES, "def build_features(", declared),)


DEFECTS: tuple[Defect, ...] = (
    Defect(
        "rows known at the very cutoff are extracted",
        "jobs/warehouse/bounds.py",
        "return {name: calendar.cutoff(day) for name, day in named.items() if day is not None}",
        "found = {name: calendar.cutoff(day) for name, day in named.items() if day is not None}\n"
        '        return {**found, "cutoff": found["cutoff"] + timedelta(microseconds=1)}',
        "future_knowledge",
    ),
    Defect(
        "events at the very cutoff are extracted",
        "jobs/warehouse/bounds.py",
        "return {name: calendar.cutoff(day) for name, day in named.items() if day is not None}",
        "found = {name: calendar.cutoff(day) for name, day in named.items() if day is not None}\n"
        '        return {name: at + timedelta(microseconds=name == "end") for name, at in found.items()}',
        "future_events",
    ),
    Defect(
        "the SQL includes the cutoff",
        SQL,
        "AND greatest(o.recorded_at, s.recorded_at) < $cutoff",
        "AND greatest(o.recorded_at, s.recorded_at) <= $cutoff",
        "refused: 78",
    ),
    Defect(
        "a joined table is read past the cutoff",
        SQL,
        "CAST(greatest(o.recorded_at, s.recorded_at) AS TIMESTAMPTZ) AS known_at",
        "CAST(o.recorded_at AS TIMESTAMPTZ) AS known_at",
        "future_knowledge",
        also=(("AND greatest(o.recorded_at, s.recorded_at) < $cutoff", "AND o.recorded_at < $cutoff"),),
    ),
    Defect(
        "a join multiplies rows",
        SQL,
        "  AND s.flight = o.flight\n",
        "",
        "refused: 65",
    ),
    Defect(
        "a join multiplies rows in features",
        FEATURES,
        'found = flights.select("dest").join(lies,',
        'found = flights.select("dest").join(pl.concat([lies, lies]),',
        "refused: 70",
    ),
    Defect(
        "windows include the day of the cutoff",
        SWEEP,
        'added = counts.select(pl.col(sums), point=point("visible_day"))',
        'added = counts.select(pl.col(sums), point=point("visible_day") - 1)',
        "parity",
    ),
    Defect(
        "windows ignore when a row became known",
        SWEEP,
        'added = counts.select(pl.col(sums), point=point("visible_day"))',
        'added = counts.with_columns(pl.col("event_day").dt.offset_by("1d"))'
        '.select(pl.col(sums), point=point("event_day"))',
        "future_knowledge",
    ),
    Defect(
        "the last known value may lie in the future",
        "features/lastknown.py",
        'visible = ranked.select("rank", point=point("visible_day"))',
        'visible = ranked.select("rank", point=point("visible_day") - 3)',
        "future_events",
    ),
    Defect(
        "a count over all rows that the snapshot happens to hold",
        FEATURES,
        _SEATS,
        "plane_seats=pl.lit(flown.height, pl.Int32)",
        "parity",
    ),
    Defect(
        "the labels of the night, where there are some",
        FEATURES,
        _WEEKDAY,
        "weekday=pl.lit(timetable.height % 1000, pl.Int32)",
        "parity",
    ),
    Defect(
        "a float mean",
        FEATURES,
        _DEST_LON,
        'dest_lon_deg=(pl.col("lon_micro_deg") / 7).mean()',
        "row_order",
    ),
    Defect(
        "a first() that depends on the order of rows",
        FEATURES,
        _DEST_LON,
        'dest_lon_deg=scaled(pl.col("lon_micro_deg").first(), 1_000_000)',
        "row_order",
    ),
    Defect(
        "a mean of the means of each thread's part",
        FEATURES,
        _DEST_LON,
        'dest_lon_deg=pl.lit(sum(airports["lon_micro_deg"].gather_every(pl.thread_pool_size(), part).mean()'
        " / pl.thread_pool_size() for part in range(pl.thread_pool_size())))",
        "threads",
    ),
    Defect(
        "sampling by row number",
        FEATURES,
        _WEEKDAY,
        "weekday=(pl.int_range(pl.len()) % 7).cast(pl.Int32)",
        "parity",
    ),
    Defect(
        "category codes by order of appearance",
        FITTED,
        "found = pl.col(name).replace_strict(known, codes, default=None, return_dtype=pl.Int32)",
        'found = pl.col(name).rank("dense").cast(pl.Int32)',
        "alone",
    ),
    Defect(
        "an encoder fitted on the scoring night",
        "features/fitted/__init__.py",
        "    for state in fitted.states:\n        require_types(state, frame.schema)\n",
        "    for state in fitted.states:\n        require_types(state, frame.schema)\n"
        "        night = Training(frame, (), None, 0)\n"
        "        state = replace(state, learnt=tuple("
        'state.transform.learn(name, night) if state.transform.kind == "codes" else learnt '
        "for name, learnt in state.by_column.items()))\n",
        "alone",
    ),
    Defect(
        "a target encoding that sees its own night and those that have not matured",
        "features/fitted/targets.py",
        'visible = pl.col("as_of").dt.offset_by(f"{days}d")',
        'visible = pl.col("as_of")',
        "fitting",
        beside=_declaring('TargetEncoding(("dest_code",))'),
    ),
    Defect(
        "a target encoding of all training rows",
        "features/fitted/targets.py",
        "seen = pairs.join_asof(every,",
        'seen = pairs.with_columns(as_of=pl.lit(every["as_of"].max())).join_asof(every,',
        "fitting",
        also=(('found = seen.select("as_of",', 'found = seen.select(pairs["as_of"],'),),
        beside=_declaring('TargetEncoding(("dest_code",))'),
    ),
    Defect(
        "transforms that are validated with what they learnt of all nights",
        "jobs/steps/training.py",
        "    fitted = fit_rows(job, built, label, rows.fitted)\n    early",
        "    fitted = rows.fitted\n    early",
        "fitting",
        beside=_declaring('MedianImputation(("temp_f",))'),
    ),
    Defect(
        "a gap filled with a mean of floats",
        "features/fitted/filling.py",
        "return at_share(values, _HALF)",
        "return training.rows[name].mean()",
        "fitting",
        beside=_declaring('MedianImputation(("wind_gust_mph",))'),
    ),
    Defect(
        "a value drawn by the position of the row",
        "features/fitted/sampling.py",
        "place = drawn(of_rows, key, self.seed, name) % ends[-1]",
        "place = pl.int_range(of_rows.height, dtype=pl.UInt64, eager=True) % ends[-1]",
        "alone",
        beside=_declaring('RandomSampleImputation(("wind_gust_mph",), 7)'),
    ),
    Defect(
        "a gap filled with the median of the night",
        FEATURES,
        _SEATS,
        'plane_seats=pl.col("seats").fill_null(pl.col("seats").median().cast(pl.Int32)) - pl.col("seats").min()',
        "alone",
    ),
    Defect(
        "only what is asked for is looked at",
        FEATURES,
        'flights = with_loads(scheduled(tables["timetable"].collect(), asked))\n    if only is not None:\n'
        '        flights = flights.join(only, on=only.columns, how="semi", maintain_order="left")',
        'flights = scheduled(tables["timetable"].collect(), asked)\n    if only is not None:\n'
        '        flights = flights.join(only, on=only.columns, how="semi", maintain_order="left")\n'
        "    flights = with_loads(flights)",
        "alone",
    ),
    Defect(
        "a feature that reads the clock",
        FEATURES,
        _WEEKDAY,
        'weekday=pl.lit(__import__("datetime").datetime.now().year, pl.Int32)',
        "clock",
    ),
    Defect(
        "a feature in the time zone of the host",
        FEATURES,
        _WEEKDAY,
        'weekday=pl.lit(__import__("datetime").datetime.fromtimestamp(0).hour, pl.Int32)',
        "host",
    ),
    Defect(
        "a feature hashed by Python",
        FEATURES,
        _DEST_LON,
        'dest_lon_deg=pl.lit(float(hash("EWR") % 1000))',
        "host",
    ),
    Defect(
        "a division by a constant, which Polars makes a multiplication",
        "features/exact.py",
        "in_each_row = (over - over) + under",
        "in_each_row = under",
        "alone",
    ),
    Defect(
        "gaps filled with the mean of the batch",
        "models/scorer.py",
        "booster.raw(self._booster, batch(start, stop), threads)",
        "booster.raw(self._booster, np.nan_to_num(batch(start, stop), nan=np.nanmax(batch(start, stop))), threads)",
        "batches",
    ),
    Defect(
        "a seed that depends on the number of threads",
        "models/parameters.py",
        '"seed": self.seed, "num_threads": threads}',
        '"seed": self.seed + threads, "num_threads": threads}',
        "training",
    ),
    Defect(
        "a released query is edited",
        SQL,
        "-- lookback: 90 days",
        "-- lookback: 91 days",
        "refused: 80",
    ),
)
