"""An address of a gateway means the same to a page, to a flow and to the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from messageflow.cli.subscriber import make_websocket_url
from messageflow.client_io.http1 import parse_url

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "addresses.json").read_text())


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["url"])
def test_an_address_is_the_same_base_to_all(vector: dict[str, str]) -> None:
    assert make_websocket_url(vector["url"]) == vector["websocket"]
    if "base" in vector:
        assert parse_url(vector["url"]).url == vector["base"]
        assert make_websocket_url(parse_url(vector["url"]).url) == vector["websocket"]
