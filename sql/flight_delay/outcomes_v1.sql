-- grain: one reported outcome of one flight; a correction is a further row
-- role: history
-- key: flight_date, carrier, flight, origin
-- event time: sched_dep_at
-- known time: known_at
-- known: appended
-- lookback: 90 days

-- A joined row is known when both of its halves are, hence greatest(), which passes over a null. An outcome without a
-- timetable row is not lost: it counts for its carrier, and a null in its key is found.
SELECT
  CAST(o.flight_date AS DATE) AS flight_date,
  CAST(o.carrier AS VARCHAR) AS carrier,
  CAST(o.flight AS INTEGER) AS flight,
  CAST(o.origin AS VARCHAR) AS origin,
  CAST(o.sched_dep_at AS TIMESTAMPTZ) AS sched_dep_at,
  CAST(s.dest AS VARCHAR) AS dest,
  CAST(s.sched_arr_at AS TIMESTAMPTZ) AS sched_arr_at,
  CAST(o.tailnum AS VARCHAR) AS tailnum,
  CAST(o.dep_delay_min AS INTEGER) AS dep_delay_min,
  CAST(o.arr_delay_min AS INTEGER) AS arr_delay_min,
  CAST(o.air_time_min AS INTEGER) AS air_time_min,
  CAST(o.cancelled AS BOOLEAN) AS cancelled,
  CAST(greatest(o.recorded_at, s.recorded_at) AS TIMESTAMPTZ) AS known_at
FROM flight_outcomes AS o
LEFT JOIN scheduled_flights AS s
  ON s.flight_date = o.flight_date
  AND s.carrier = o.carrier
  AND s.flight = o.flight
  AND s.origin = o.origin
WHERE o.sched_dep_at >= $start
  AND o.sched_dep_at < $end
  AND greatest(o.recorded_at, s.recorded_at) < $cutoff
ORDER BY flight_date, carrier, flight, origin, known_at
