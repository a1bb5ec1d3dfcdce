-- snowflake, rendered by sqlglot 30.30.0 from planes_v1.sql, SHA-256 a0f53d03372b871deedbe84f235238a0338b006997e159a579ff65b9ebe72bb1; never edited, written by score release
SELECT
  CAST(tailnum AS VARCHAR) AS tailnum,
  CAST(year_built AS INT) AS year_built,
  CAST(manufacturer AS VARCHAR) AS manufacturer,
  CAST(model AS VARCHAR) AS model,
  CAST(engines AS INT) AS engines,
  CAST(seats AS INT) AS seats
FROM planes
ORDER BY
  tailnum
