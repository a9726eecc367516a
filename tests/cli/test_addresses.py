"""An address of a gateway means the same to a page, a flow and the command line, which takes it as a flow does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from messageflow.client_io.http1 import parse_url

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "addresses.json").read_text())


@pytest.mark.parametrize("vector", [each for each in VECTORS if "base" in each], ids=lambda vector: vector["url"])
def test_an_address_is_the_same_base_to_all(vector: dict[str, str]) -> None:
    assert parse_url(vector["url"]).url == vector["base"]
