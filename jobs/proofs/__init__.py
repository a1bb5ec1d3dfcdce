"""Proofs: `score prove` tries to break the promise on the user's own job and rows, and says what held."""
