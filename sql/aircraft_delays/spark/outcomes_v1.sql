-- spark, rendered by sqlglot 30.30.0 from outcomes_v1.sql, SHA-256 8031b5af75673c2852ae6f374456199716acfc28fbd3bfbc21a3487e1fe053a0; never edited, written by score release
SELECT
  CAST(`flight_date` AS DATE) AS `flight_date`,
  CAST(`carrier` AS STRING) AS `carrier`,
  CAST(`flight` AS INT) AS `flight`,
  CAST(`origin` AS STRING) AS `origin`,
  CAST(`sched_dep_at` AS TIMESTAMP) AS `sched_dep_at`,
  CAST(`tailnum` AS STRING) AS `tailnum`,
  CAST(`arr_delay_min` AS INT) AS `arr_delay_min`,
  CAST(`air_time_min` AS INT) AS `air_time_min`,
  CAST(`cancelled` AS BOOLEAN) AS `cancelled`,
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
