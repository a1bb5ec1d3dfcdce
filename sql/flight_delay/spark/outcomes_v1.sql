-- spark, rendered by sqlglot 30.30.0 from outcomes_v1.sql, SHA-256 4058b6c71bf525ede1ff5d25faa68a6a7f01929c5628c5a339c91b4fb9849670; never edited, written by score release
SELECT
  CAST(`o`.`flight_date` AS DATE) AS `flight_date`,
  CAST(`o`.`carrier` AS STRING) AS `carrier`,
  CAST(`o`.`flight` AS INT) AS `flight`,
  CAST(`o`.`origin` AS STRING) AS `origin`,
  CAST(`o`.`sched_dep_at` AS TIMESTAMP) AS `sched_dep_at`,
  CAST(`s`.`dest` AS STRING) AS `dest`,
  CAST(`s`.`sched_arr_at` AS TIMESTAMP) AS `sched_arr_at`,
  CAST(`o`.`tailnum` AS STRING) AS `tailnum`,
  CAST(`o`.`dep_delay_min` AS INT) AS `dep_delay_min`,
  CAST(`o`.`arr_delay_min` AS INT) AS `arr_delay_min`,
  CAST(`o`.`air_time_min` AS INT) AS `air_time_min`,
  CAST(`o`.`cancelled` AS BOOLEAN) AS `cancelled`,
  CAST(GREATEST(`o`.`recorded_at`, `s`.`recorded_at`) AS TIMESTAMP) AS `known_at`
FROM `flight_outcomes` AS `o`
LEFT JOIN `scheduled_flights` AS `s`
  ON `s`.`flight_date` = `o`.`flight_date`
  AND `s`.`carrier` = `o`.`carrier`
  AND `s`.`flight` = `o`.`flight`
  AND `s`.`origin` = `o`.`origin`
WHERE
  `o`.`sched_dep_at` >= $start
  AND `o`.`sched_dep_at` < $end
  AND GREATEST(`o`.`recorded_at`, `s`.`recorded_at`) < $cutoff
ORDER BY
  `flight_date` NULLS LAST,
  `carrier` NULLS LAST,
  `flight` NULLS LAST,
  `origin` NULLS LAST,
  `known_at` NULLS LAST
