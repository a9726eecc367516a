"""Puts the checkout on the path: `benchmarks` is a package of the repository, not of the wheel."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
