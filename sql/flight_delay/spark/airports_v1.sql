-- spark, rendered by sqlglot 30.30.0 from airports_v1.sql, SHA-256 10afe2602018688ca1d514420a01fa64cf02c10a6ae79d6e586d6241038d8294; never edited, written by score release
SELECT
  CAST(`faa` AS STRING) AS `faa`,
  CAST(FLOOR(`lat` * 1000000 + 0.5) AS INT) AS `lat_micro_deg`,
  CAST(FLOOR(`lon` * 1000000 + 0.5) AS INT) AS `lon_micro_deg`,
  CAST(`alt_ft` AS INT) AS `alt_ft`,
  CAST(`tzone` AS STRING) AS `tzone`
FROM `airports`
ORDER BY
  `faa` NULLS LAST
