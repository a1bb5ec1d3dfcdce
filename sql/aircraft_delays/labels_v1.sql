-- grain: one reported outcome of one flight; a correction is a further row
-- role: labels
-- key: flight_date, carrier, flight, origin
-- event time: sched_dep_at
-- known time: recorded_at
-- known: appended

SELECT
  CAST(flight_date AS DATE) AS flight_date,
  CAST(carrier AS VARCHAR) AS carrier,
  CAST(flight AS INTEGER) AS flight,
  CAST(origin AS VARCHAR) AS origin,
  CAST(sched_dep_at AS TIMESTAMPTZ) AS sched_dep_at,
  CAST(tailnum AS VARCHAR) AS tailnum,
  CAST(arr_delay_min AS INTEGER) AS arr_delay_min,
  CAST(cancelled AS BOOLEAN) AS cancelled,
  CAST(recorded_at AS TIMESTAMPTZ) AS recorded_at
FROM flight_outcomes
WHERE sched_dep_at >= $start
  AND sched_dep_at < $end
  AND recorded_at < $cutoff
ORDER BY flight_date, carrier, flight, origin, recorded_at
