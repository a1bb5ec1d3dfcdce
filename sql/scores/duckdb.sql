-- The tables beside the views in scores.duckdb, which is built anew for every change.

CREATE TABLE built_from (state VARCHAR, home VARCHAR);
CREATE TABLE publications (
    seq BIGINT, job VARCHAR, as_of DATE, run_id VARCHAR, published_at TIMESTAMPTZ, reason VARCHAR
);
CREATE TABLE runs (
    run_id VARCHAR, job VARCHAR, as_of DATE, model_version VARCHAR, snapshot_digest VARCHAR, features_digest VARCHAR,
    scores_digest VARCHAR, row_count BIGINT, scored_at TIMESTAMPTZ, current BOOLEAN
);
COMMENT ON TABLE built_from IS 'digest of the events that this database shows; another state is built anew';
COMMENT ON TABLE publications IS 'one row per change of what analysts see: from published_at on, as_of showed run_id';
COMMENT ON COLUMN publications.seq IS 'place in the job''s chain of events';
COMMENT ON COLUMN publications.published_at IS 'instant of the change, UTC';
COMMENT ON COLUMN publications.reason IS 'nightly, backfill or restate';
COMMENT ON TABLE runs IS 'one row per run that was ever published or kept in the history';
COMMENT ON COLUMN runs.as_of IS 'the day whose knowledge the run reproduces';
COMMENT ON COLUMN runs.snapshot_digest IS 'SHA-256 of the rows that it was computed from';
COMMENT ON COLUMN runs.features_digest IS 'SHA-256 of its feature frame';
COMMENT ON COLUMN runs.scores_digest IS 'SHA-256 over key and raw_score in key order';
COMMENT ON COLUMN runs.scored_at IS 'instant in which it was first shown, UTC';
COMMENT ON COLUMN runs.current IS 'whether analysts see it now for its as-of';
