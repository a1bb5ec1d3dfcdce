"""Differences: which scores differ between two runs and why, and what the warehouse rewrote since."""
