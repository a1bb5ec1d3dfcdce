-- grain: one aircraft
-- role: reference
-- key: tailnum
-- known: none

SELECT
  CAST(tailnum AS VARCHAR) AS tailnum,
  CAST(year_built AS INTEGER) AS year_built,
  CAST(manufacturer AS VARCHAR) AS manufacturer,
  CAST(model AS VARCHAR) AS model,
  CAST(engines AS INTEGER) AS engines,
  CAST(seats AS INTEGER) AS seats
FROM planes
ORDER BY tailnum
