"""The things that a person asks for, one function each: snapshot, train, run, backfill, verify, demo."""
