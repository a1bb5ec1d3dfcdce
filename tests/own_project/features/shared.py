"""What the modules of this project share."""

from __future__ import annotations

ZONE = "Europe/Lisbon"
DAYS = (7, 28)
