"""Parameters, training, the scorer, evaluation; one TOML a job."""
