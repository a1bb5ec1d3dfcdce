"""Telling those outside how a night went: log lines, figures for Prometheus, pings. None of it can harm the night."""
