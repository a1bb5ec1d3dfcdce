"""Frames in, frames out: the column contract, exact windows over two clocks, and one module a job."""
