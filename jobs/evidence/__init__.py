"""Evidence: golden rows and nights, environments, verifying, proofs, differences, mutations."""
