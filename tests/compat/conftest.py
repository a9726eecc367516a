"""A gateway with a namespace that allows clients everything, for the SDKs to try."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from messageflow import Flow
from tests.support import API_KEY, TOKEN_SECRET, Running, running

CONFIG = """
[[channel.namespaces]]
name = "open"
presence = true
join_leave = true
force_push_join_leave = true
allow_subscribe_for_client = true
allow_publish_for_client = true
allow_history_for_client = true
allow_presence_for_client = true
allowed_delta_types = ["fossil"]
delta_publish = true

[[channel.namespaces]]
name = "short"
history_size = 50
allow_subscribe_for_client = true
"""


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    directory = tmp_path_factory.mktemp("compat")
    (directory / "messageflow.toml").write_text(CONFIG)
    with running(["serve", "--config", str(directory / "messageflow.toml")], directory) as started:
        yield started


@pytest.fixture
def flow(gateway: Running) -> Iterator[Flow]:
    with Flow(gateway.url, api_key=API_KEY, token_secret=TOKEN_SECRET) as flow:
        yield flow
