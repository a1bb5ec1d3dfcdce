-- The tables that all jobs share, in PostgreSQL. Each statement may run again on what it made; a change of what stands
-- here is a further statement at the end, which does nothing where it is done already.

-- Not IF NOT EXISTS: that asks for CREATE on the database even where the schema was made for the job.
DO $$ BEGIN IF to_regnamespace('scores') IS NULL THEN CREATE SCHEMA scores; COMMENT ON SCHEMA scores IS 'what the nightly job published; written by the job only, and built anew from its SCORE_HOME where it is missing'; END IF; END $$;

CREATE TABLE IF NOT EXISTS scores.publications (
  seq BIGINT NOT NULL,
  job TEXT NOT NULL,
  as_of DATE NOT NULL,
  run_id TEXT NOT NULL,
  published_at TIMESTAMPTZ NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (job, seq)
);
CREATE INDEX IF NOT EXISTS publications_as_of ON scores.publications (job, as_of);
COMMENT ON TABLE scores.publications IS 'one row per change of what analysts see: from published_at on, as_of showed run_id';
COMMENT ON COLUMN scores.publications.seq IS 'place in the job''s chain of events';
COMMENT ON COLUMN scores.publications.published_at IS 'instant of the change, UTC';
COMMENT ON COLUMN scores.publications.reason IS 'nightly, backfill or restate';

CREATE TABLE IF NOT EXISTS scores.runs (
  run_id TEXT NOT NULL PRIMARY KEY,
  job TEXT NOT NULL,
  as_of DATE NOT NULL,
  model_version TEXT NOT NULL,
  snapshot_digest TEXT NOT NULL,
  features_digest TEXT NOT NULL,
  scores_digest TEXT NOT NULL,
  row_count BIGINT NOT NULL,
  scored_at TIMESTAMPTZ NOT NULL,
  current BOOLEAN NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS runs_current ON scores.runs (job, as_of) WHERE current;
COMMENT ON TABLE scores.runs IS 'one row per run that was ever published or kept in the history';
COMMENT ON COLUMN scores.runs.as_of IS 'the day whose knowledge the run reproduces';
COMMENT ON COLUMN scores.runs.snapshot_digest IS 'SHA-256 of the rows that it was computed from';
COMMENT ON COLUMN scores.runs.features_digest IS 'SHA-256 of its feature frame';
COMMENT ON COLUMN scores.runs.scores_digest IS 'SHA-256 over key and raw_score in key order';
COMMENT ON COLUMN scores.runs.scored_at IS 'instant in which it was first shown, UTC';
COMMENT ON COLUMN scores.runs.current IS 'whether analysts see it now for its as-of';
