"""The only room that does: warehouse, clock, disk, screen."""

import sys
from pathlib import Path

# Somebody's own `features` or `models` may stand before ours on the path, as with PYTHONPATH=. in a project: those
# beside this package are meant, wherever they are imported from now on.
sys.path.insert(0, str(Path(__file__).parents[1]))
import features as _features  # noqa: F401
import models as _models  # noqa: F401

sys.path.pop(0)
