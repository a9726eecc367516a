"""docs/dialects.md: what it shows is the toys that the tests of all dialects and transports run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from messageflow.core.gateway_paths import WEBSOCKET_PATH
from messageflow.dialects.table import Spoken
from tests.hub.toy_dialect import ToyDialect

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "dialects.md").read_text(), re.DOTALL)


@pytest.mark.parametrize(("number", "toy"), [(0, "toy_dialect"), (2, "one_way_toy")])
def test_the_toy_of_the_page_is_the_one_that_is_tested(number: int, toy: str) -> None:
    assert BLOCKS[number] in (ROOT / "tests" / "hub" / f"{toy}.py").read_text()


def test_the_line_of_the_page_is_one_of_the_table() -> None:
    names = {"Spoken": Spoken, "WEBSOCKET_PATH": WEBSOCKET_PATH, "ToyDialect": ToyDialect}
    assert isinstance(eval(BLOCKS[1], names), Spoken)


def test_the_files_it_names_exist() -> None:
    named = re.findall(r"`([\w/]+/(?:\w+\.py)?)`", (ROOT / "docs" / "dialects.md").read_text())
    assert len(named) > 5
    for name in named:
        assert (ROOT / name).exists() or (ROOT / "src" / "messageflow" / name).exists(), name
