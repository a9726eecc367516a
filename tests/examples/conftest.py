"""Lets the tests import the modules of the example as the example does: by their bare names."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "flask_jobs"))
