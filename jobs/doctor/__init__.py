"""The doctor: what is wrong with a machine, told before the night finds out."""
