-- postgres, rendered by sqlglot 30.30.0 from planes_v1.sql, SHA-256 8f2223cb4c66d4801203c3b2d111e140d5edabccfa5b056b98b844b39e0cb0bb; never edited, written by score release
SELECT
  CAST(tailnum AS TEXT) COLLATE "C" AS tailnum,
  CAST(year_built AS INT) AS year_built,
  CAST(type AS TEXT) COLLATE "C" AS type,
  CAST(manufacturer AS TEXT) COLLATE "C" AS manufacturer,
  CAST(model AS TEXT) COLLATE "C" AS model,
  CAST(engines AS INT) AS engines,
  CAST(seats AS INT) AS seats,
  CAST(engine AS TEXT) COLLATE "C" AS engine
FROM planes
ORDER BY
  tailnum
