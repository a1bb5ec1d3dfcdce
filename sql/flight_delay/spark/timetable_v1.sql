-- spark, rendered by sqlglot 30.30.0 from timetable_v1.sql, SHA-256 fa9bcda7530b742cee13e0657c1b659b364fe96d19d3b02422184842741977be; never edited, written by score release
SELECT
  CAST(`flight_date` AS DATE) AS `flight_date`,
  CAST(`carrier` AS STRING) AS `carrier`,
  CAST(`flight` AS INT) AS `flight`,
  CAST(`origin` AS STRING) AS `origin`,
  CAST(`dest` AS STRING) AS `dest`,
  CAST(`sched_dep_at` AS TIMESTAMP) AS `sched_dep_at`,
  CAST(`sched_arr_at` AS TIMESTAMP) AS `sched_arr_at`,
  CAST(`distance_mi` AS INT) AS `distance_mi`,
  CAST(`recorded_at` AS TIMESTAMP) AS `recorded_at`
FROM `scheduled_flights`
WHERE
  `sched_dep_at` >= $start AND `sched_dep_at` < $end AND `recorded_at` < $cutoff
ORDER BY
  `flight_date` NULLS LAST,
  `carrier` NULLS LAST,
  `flight` NULLS LAST,
  `origin` NULLS LAST
