"""docs/ancestors.md names every example, and each is started as its README says."""

from __future__ import annotations

import os
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLES = [each.parent for each in sorted((ROOT / "examples").glob("*/README.md"))]
BY_ANOTHER_COMMAND = {"flask_jobs"}  # `make demo`


def test_every_example_is_named() -> None:
    named = re.findall(r"\]\(\.\./examples/(\w+)/README\.md\)", (ROOT / "docs/ancestors.md").read_text())
    assert sorted(named) == [each.name for each in EXAMPLES]


def test_every_example_starts_by_the_one_command_that_its_readme_says() -> None:
    for example in EXAMPLES:
        readme = (example / "README.md").read_text()
        assert (f"$ make example-{example.name} " in readme) is (example.name not in BY_ANOTHER_COMMAND)
        assert os.access(example / "start", os.X_OK) is (example.name not in BY_ANOTHER_COMMAND)
