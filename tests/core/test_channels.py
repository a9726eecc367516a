"""Names, namespaces and rights: everything is denied until an option allows it."""

from __future__ import annotations

import msgspec
import pytest

from messageflow.core.channels import (
    NamespaceOptions,
    Namespaces,
    Rights,
    may_publish,
    may_read_history,
    may_see_presence,
    may_subscribe,
)
from messageflow.errors import ConfigurationError

NOTHING = NamespaceOptions()
ALICE, NOBODY = Rights("alice"), Rights("")
NAMESPACES = Namespaces(named={"news": NamespaceOptions(channel_regex="[a-z]+")})


@pytest.mark.parametrize(
    ("channel", "known"),
    [
        ("plain", True),
        ("news:eu", True),
        ("$news:eu", True),
        ("news:EU", False),
        ("other:eu", False),
        ("", False),
        ("a b", False),
        ("a\n", False),
        ("ä", False),
        ("x" * 255, True),
        ("x" * 256, False),
        ("#alice", True),
        ("#zoë", True),
        ("#", False),
        ("*", True),
        ("!revoked", False),
        ("!news:eu", False),
    ],
)
def test_a_name_belongs_to_a_namespace_or_to_none(channel: str, known: bool) -> None:
    assert (NAMESPACES.options(channel) is not None) == known


def test_without_options_a_client_may_do_nothing() -> None:
    for rights in (ALICE, NOBODY, Rights("alice", subscribed=True)):
        assert may_subscribe("plain", NOTHING, rights) is not None
        assert not may_publish(NOTHING, rights)
        assert not may_read_history(NOTHING, rights)
        assert not may_see_presence(NOTHING, rights)


def test_anonymous_clients_need_a_permission_of_their_own() -> None:
    options = NamespaceOptions(allow_subscribe_for_client=True)
    assert may_subscribe("plain", options, ALICE) is None
    assert may_subscribe("plain", options, NOBODY) is not None
    options = msgspec.structs.replace(options, allow_subscribe_for_anonymous=True)
    assert may_subscribe("plain", options, NOBODY) is None


def test_subscribers_may_have_rights_that_others_have_not() -> None:
    options = NamespaceOptions(allow_publish_for_subscriber=True)
    assert may_publish(options, Rights("alice", subscribed=True))
    assert not may_publish(options, ALICE)


@pytest.mark.parametrize("channel", ["#alice", "#bob", "*", "$secret", "!revoked"])
def test_what_is_the_servers_is_never_subscribed_by_a_client(channel: str) -> None:
    everything = NamespaceOptions(allow_subscribe_for_client=True, allow_user_limited_channels=True)
    assert may_subscribe(channel, everything, ALICE) is not None


def test_a_user_limited_channel_admits_those_it_lists() -> None:
    options = NamespaceOptions(allow_user_limited_channels=True)
    assert may_subscribe("chat#bob,alice", options, ALICE) is None
    assert may_subscribe("chat#bob,alicia", options, ALICE) is not None
    assert may_subscribe("chat#", options, NOBODY) is not None


def test_a_namespace_that_cannot_be_is_refused_at_the_start() -> None:
    with pytest.raises(ConfigurationError, match="a b"):
        Namespaces(named={"a b": NOTHING})
    with pytest.raises(ConfigurationError, match="channel_regex"):
        Namespaces(named={"news": NamespaceOptions(channel_regex="(")})
