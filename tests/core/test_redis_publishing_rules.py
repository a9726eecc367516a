"""The rules that gateways leave for those who publish past them."""

from __future__ import annotations

import msgspec
import pytest

from messageflow.core.namespaces import NamespaceOptions, Namespaces
from messageflow.core.redis_publishing_rules import RedisPublishingRules
from messageflow.errors import ConfigurationError

NAMESPACES = Namespaces(
    NamespaceOptions(history_size=5),
    {"news": NamespaceOptions(history_ttl=0.5, channel_regex="[a-z]+")},
    broadcast=NamespaceOptions(history_size=0),
    patterns={"org-*": NamespaceOptions(history_size=7)},
)
RULES = RedisPublishingRules.of(NAMESPACES, size_limit=65_536, idempotency_window=600.0, revoked_for=90.0)


def test_rules_come_back_as_they_were_left() -> None:
    assert RedisPublishingRules.from_json(RULES.to_json()) == RULES


def test_they_give_each_channel_the_options_it_has_at_the_gateway() -> None:
    found = RedisPublishingRules.from_json(RULES.to_json()).namespaces
    for channel in ("plain", "news:eu", "news:EU", "other:x", "org-7:x", "#alice", "*"):
        assert found.options(channel) == NAMESPACES.options(channel)


def test_what_a_newer_gateway_adds_is_passed_over() -> None:
    written = msgspec.json.decode(RULES.to_json())
    written["default"]["later"] = written["later"] = {"a": 1}
    assert RedisPublishingRules.from_json(msgspec.json.encode(written)) == RULES


def test_an_option_that_an_older_gateway_does_not_know_has_its_default() -> None:
    written = msgspec.json.decode(RULES.to_json())
    del written["default"]["lag_policy"]
    assert RedisPublishingRules.from_json(msgspec.json.encode(written)) == RULES


def test_an_older_gateway_knows_no_patterns() -> None:
    written = msgspec.json.decode(RULES.to_json())
    del written["patterns"]
    assert RedisPublishingRules.from_json(msgspec.json.encode(written)).patterns == {}


def test_rules_with_a_pattern_that_is_none_are_refused() -> None:
    written = msgspec.json.decode(RULES.to_json())
    written["named"]["news"]["channel_regex"] = "("
    with pytest.raises(ConfigurationError, match="is not a pattern"):
        RedisPublishingRules.from_json(msgspec.json.encode(written))


@pytest.mark.parametrize("data", [b"", b"garbage", b"[]", b"{}", RULES.to_json()[:-1], b'{"default":3}'])
def test_what_is_no_rules_is_a_sentence(data: bytes) -> None:
    with pytest.raises(ConfigurationError, match="cannot be understood"):
        RedisPublishingRules.from_json(data)
