"""The kernel: the raw scores of many rows at once, bit for bit those of LightGBM's `predict`."""
