"""Evidence: golden rows and nights, replays stage by stage, retraining, every stored byte."""
