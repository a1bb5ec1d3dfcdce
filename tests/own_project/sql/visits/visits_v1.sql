-- grain: one booked visit
-- role: population
-- key: visit_id
-- event time: begins_at
-- known time: booked_at
-- known: rewritten

SELECT
  CAST(visit_id AS INTEGER) AS visit_id,
  CAST(begins_at AS TIMESTAMPTZ) AS begins_at,
  CAST(patient AS VARCHAR) AS patient,
  CAST(clinic AS VARCHAR) AS clinic,
  CAST(booked_at AS TIMESTAMPTZ) AS booked_at
FROM booked_visits
WHERE begins_at >= $start
  AND begins_at < $end
  AND booked_at < $cutoff
ORDER BY visit_id
