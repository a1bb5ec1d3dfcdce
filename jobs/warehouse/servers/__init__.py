"""Warehouses that are servers: read and written through ADBC, as Arrow."""
