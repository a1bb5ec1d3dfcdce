-- grain: one reported visit: did the patient come? A correction is a further row
-- role: labels
-- key: visit_id
-- event time: begins_at
-- known time: recorded_at
-- known: appended

SELECT
  CAST(visit_id AS INTEGER) AS visit_id,
  CAST(begins_at AS TIMESTAMPTZ) AS begins_at,
  CAST(patient AS VARCHAR) AS patient,
  CAST(clinic AS VARCHAR) AS clinic,
  CAST(came AS BOOLEAN) AS came,
  CAST(recorded_at AS TIMESTAMPTZ) AS recorded_at
FROM attended_visits
WHERE begins_at >= $start
  AND begins_at < $end
  AND recorded_at < $cutoff
ORDER BY visit_id, recorded_at
