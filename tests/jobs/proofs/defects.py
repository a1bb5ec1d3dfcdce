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

    def seed(self, tree: Path) -> None:
        """Put the defect into a copy of the source tree."""
        path = tree / self.path
        text = path.read_text(encoding="utf-8")
        for old, new in ((self.old, self.new), *self.also):
            assert text.count(old) == 1, f"{self.path} has {text.count(old)} times: {old}"
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")


_DEST_LON = 'dest_lon_deg=scaled("lon_micro_deg", 1_000_000)'
_WEEKDAY = 'weekday=pl.col("as_of").dt.weekday().cast(pl.Int32)'
_SEATS = 'plane_seats="seats"'

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
