-- grain: one hourly observation at one origin
-- role: history
-- key: origin, observed_at
-- event time: observed_at
-- known time: recorded_at
-- known: rewritten
-- lookback: 7 days

-- Measurements become scaled integers here, so that their sums are exact (law 1).
-- floor(x + 0.5) and not round(x): of a double's halves DuckDB rounds 2.5 to 3, PostgreSQL to 2.
SELECT
  CAST(origin AS VARCHAR) AS origin,
  CAST(observed_at AS TIMESTAMPTZ) AS observed_at,
  CAST(floor(temp_f * 100 + 0.5) AS INTEGER) AS temp_centi_f,
  CAST(floor(dewp_f * 100 + 0.5) AS INTEGER) AS dewp_centi_f,
  CAST(floor(humid_pct * 100 + 0.5) AS INTEGER) AS humid_centi_pct,
  CAST(wind_dir_deg AS INTEGER) AS wind_dir_deg,
  CAST(floor(wind_speed_mph * 100 + 0.5) AS INTEGER) AS wind_speed_centi_mph,
  CAST(floor(wind_gust_mph * 100 + 0.5) AS INTEGER) AS wind_gust_centi_mph,
  CAST(floor(precip_in * 1000 + 0.5) AS INTEGER) AS precip_milli_in,
  CAST(floor(pressure_mb * 10 + 0.5) AS INTEGER) AS pressure_deci_mb,
  CAST(floor(visib_mi * 100 + 0.5) AS INTEGER) AS visib_centi_mi,
  CAST(recorded_at AS TIMESTAMPTZ) AS recorded_at
FROM weather
WHERE observed_at >= $start
  AND observed_at < $end
  AND recorded_at < $cutoff
ORDER BY origin, observed_at
