"""Collecting what nothing refers to any more: what is stored and who needs it, what may go, and its removal."""
