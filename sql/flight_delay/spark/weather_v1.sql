-- spark, rendered by sqlglot 30.30.0 from weather_v1.sql, SHA-256 c6b22cc545f91dce17813e4ecb1b47ddefb667a33ac0b3cab6f768989f2a3a1f; never edited, written by score release
SELECT
  CAST(`origin` AS STRING) AS `origin`,
  CAST(`observed_at` AS TIMESTAMP) AS `observed_at`,
  CAST(FLOOR(`temp_f` * 100 + 0.5) AS INT) AS `temp_centi_f`,
  CAST(FLOOR(`dewp_f` * 100 + 0.5) AS INT) AS `dewp_centi_f`,
  CAST(FLOOR(`humid_pct` * 100 + 0.5) AS INT) AS `humid_centi_pct`,
  CAST(`wind_dir_deg` AS INT) AS `wind_dir_deg`,
  CAST(FLOOR(`wind_speed_mph` * 100 + 0.5) AS INT) AS `wind_speed_centi_mph`,
  CAST(FLOOR(`wind_gust_mph` * 100 + 0.5) AS INT) AS `wind_gust_centi_mph`,
  CAST(FLOOR(`precip_in` * 1000 + 0.5) AS INT) AS `precip_milli_in`,
  CAST(FLOOR(`pressure_mb` * 10 + 0.5) AS INT) AS `pressure_deci_mb`,
  CAST(FLOOR(`visib_mi` * 100 + 0.5) AS INT) AS `visib_centi_mi`,
  CAST(`recorded_at` AS TIMESTAMP) AS `recorded_at`
FROM `weather`
WHERE
  `observed_at` >= $start AND `observed_at` < $end AND `recorded_at` < $cutoff
ORDER BY
  `origin` NULLS LAST,
  `observed_at` NULLS LAST
