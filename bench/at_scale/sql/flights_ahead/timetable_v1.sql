-- grain: one scheduled flight
-- role: population
-- key: flight_date, carrier, flight, origin
-- event time: sched_dep_at
-- known time: recorded_at
-- known: rewritten

SELECT
  CAST(flight_date AS DATE) AS flight_date,
  CAST(carrier AS VARCHAR) AS carrier,
  CAST(flight AS INTEGER) AS flight,
  CAST(origin AS VARCHAR) AS origin,
  CAST(dest AS VARCHAR) AS dest,
  CAST(sched_dep_at AS TIMESTAMPTZ) AS sched_dep_at,
  CAST(sched_arr_at AS TIMESTAMPTZ) AS sched_arr_at,
  CAST(distance_mi AS INTEGER) AS distance_mi,
  CAST(recorded_at AS TIMESTAMPTZ) AS recorded_at
FROM scheduled_flights
WHERE sched_dep_at >= $start
  AND sched_dep_at < $end
  AND recorded_at < $cutoff
ORDER BY flight_date, carrier, flight, origin
