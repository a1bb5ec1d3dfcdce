"""Where source rows come from: a DuckDB file, and the sample that `score demo` builds."""
