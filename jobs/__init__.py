"""The only room that does: warehouse, clock, disk, screen."""
