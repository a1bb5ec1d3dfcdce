-- grain: one airport
-- role: reference
-- key: faa
-- known: none

-- floor(x + 0.5) and not round(x): engines round the halves of a double differently.
SELECT
  CAST(faa AS VARCHAR) AS faa,
  CAST(floor(lat * 1000000 + 0.5) AS INTEGER) AS lat_micro_deg,
  CAST(floor(lon * 1000000 + 0.5) AS INTEGER) AS lon_micro_deg,
  CAST(alt_ft AS INTEGER) AS alt_ft,
  CAST(tzone AS VARCHAR) AS tzone
FROM airports
ORDER BY faa
