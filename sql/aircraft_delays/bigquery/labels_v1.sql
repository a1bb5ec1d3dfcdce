-- bigquery, rendered by sqlglot 30.30.0 from labels_v1.sql, SHA-256 a90d82a77a694de01a554bf996071107382f23d84fecee01810c995237514839; never edited, written by score release
SELECT
  CAST(`flight_date` AS DATE) AS `flight_date`,
  CAST(`carrier` AS STRING) AS `carrier`,
  CAST(`flight` AS INT64) AS `flight`,
  CAST(`origin` AS STRING) AS `origin`,
  CAST(`sched_dep_at` AS TIMESTAMP) AS `sched_dep_at`,
  CAST(`tailnum` AS STRING) AS `tailnum`,
  CAST(`arr_delay_min` AS INT64) AS `arr_delay_min`,
  CAST(`cancelled` AS BOOL) AS `cancelled`,
  CAST(`recorded_at` AS TIMESTAMP) AS `recorded_at`
FROM `flight_outcomes`
WHERE
  `sched_dep_at` >= $start AND `sched_dep_at` < $end AND `recorded_at` < $cutoff
ORDER BY
  `flight_date` NULLS LAST,
  `carrier` NULLS LAST,
  `flight` NULLS LAST,
  `origin` NULLS LAST,
  `recorded_at` NULLS LAST
