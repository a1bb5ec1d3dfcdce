"""Every byte below SCORE_HOME: digests, documents, objects, snapshots, models, runs, events, the analysts' views."""
