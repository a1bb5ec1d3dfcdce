-- snowflake, rendered by sqlglot 30.30.0 from labels_v1.sql, SHA-256 0f7c3b99fd6c02cf10f0465c5678dbbdd6f8e90eb762cfa3c3486d47074273c0; never edited, written by score release
SELECT
  CAST(flight_date AS DATE) AS flight_date,
  CAST(carrier AS VARCHAR) AS carrier,
  CAST(flight AS INT) AS flight,
  CAST(origin AS VARCHAR) AS origin,
  CAST(sched_dep_at AS TIMESTAMPLTZ(6)) AS sched_dep_at,
  CAST(arr_delay_min AS INT) AS arr_delay_min,
  CAST(cancelled AS BOOLEAN) AS cancelled,
  CAST(recorded_at AS TIMESTAMPLTZ(6)) AS recorded_at
FROM flight_outcomes
WHERE
  sched_dep_at >= $start AND sched_dep_at < $end AND recorded_at < $cutoff
ORDER BY
  flight_date,
  carrier,
  flight,
  origin,
  recorded_at
