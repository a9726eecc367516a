"""By what name a broker is asked for."""

from __future__ import annotations

import pytest

from messageflow.core.broker_kinds import BrokerKind, find_broker_kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("embedded", BrokerKind.EMBEDDED),
        ("memory", BrokerKind.MEMORY),
        ("redis://localhost", BrokerKind.REDIS),
        ("unix:///run/redis.sock", BrokerKind.REDIS),
        ("rediss+sentinel://a:1,b:2/main", BrokerKind.REDIS),
        ("redis://a redis+cluster://b", BrokerKind.REDIS),
    ],
)
def test_a_word_or_urls_name_a_kind(name: str, kind: BrokerKind) -> None:
    assert find_broker_kind(name) is kind


@pytest.mark.parametrize(
    "name",
    ["", " ", "redis", "redis:localhost", "kafka://a", "redis://a kafka://b", "embedded redis://a", "a://redis://b"],
)
def test_nothing_else_does(name: str) -> None:
    assert find_broker_kind(name) is None
