"""What the modules of this project share."""

from __future__ import annotations

ZONE = "Europe/Lisbon"
KEY = ("visit_id",)
DAYS = (7, 28)
