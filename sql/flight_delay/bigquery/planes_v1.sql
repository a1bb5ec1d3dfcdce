-- bigquery, rendered by sqlglot 30.30.0 from planes_v1.sql, SHA-256 8f2223cb4c66d4801203c3b2d111e140d5edabccfa5b056b98b844b39e0cb0bb; never edited, written by score release
SELECT
  CAST(`tailnum` AS STRING) AS `tailnum`,
  CAST(`year_built` AS INT64) AS `year_built`,
  CAST(`type` AS STRING) AS `type`,
  CAST(`manufacturer` AS STRING) AS `manufacturer`,
  CAST(`model` AS STRING) AS `model`,
  CAST(`engines` AS INT64) AS `engines`,
  CAST(`seats` AS INT64) AS `seats`,
  CAST(`engine` AS STRING) AS `engine`
FROM `planes`
ORDER BY
  `tailnum` NULLS LAST
