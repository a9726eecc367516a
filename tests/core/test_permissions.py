"""What a client may do in a channel: everything is denied until an option allows it."""

from __future__ import annotations

import msgspec
import pytest

from messageflow.core.namespaces import NamespaceOptions
from messageflow.core.permissions import Rights, may_publish, may_read_history, may_see_presence, may_subscribe

NOTHING = NamespaceOptions()
ALICE, NOBODY = Rights("alice"), Rights("")
VERBS = (may_publish, may_see_presence, may_read_history)


def test_without_options_a_client_may_do_nothing() -> None:
    for rights in (ALICE, NOBODY, Rights("alice", subscribed=True)):
        assert may_subscribe("plain", NOTHING, rights) is not None
        assert not any(may("plain", NOTHING, rights) for may in VERBS)


def test_anonymous_clients_need_a_permission_of_their_own() -> None:
    options = NamespaceOptions(allow_subscribe_for_client=True)
    assert may_subscribe("plain", options, ALICE) is None
    assert may_subscribe("plain", options, NOBODY) is not None
    options = msgspec.structs.replace(options, allow_subscribe_for_anonymous=True)
    assert may_subscribe("plain", options, NOBODY) is None


def test_subscribers_may_have_rights_that_others_have_not() -> None:
    options = NamespaceOptions(allow_publish_for_subscriber=True)
    assert may_publish("plain", options, Rights("alice", subscribed=True))
    assert not may_publish("plain", options, ALICE)


@pytest.mark.parametrize("channel", ["#alice", "#bob", "*", "$secret", "!revoked"])
def test_what_is_the_servers_is_never_subscribed_by_a_client(channel: str) -> None:
    everything = NamespaceOptions(allow_subscribe_for_client=True, allow_user_limited_channels=True)
    assert may_subscribe(channel, everything, ALICE) is not None


def test_a_user_limited_channel_admits_those_it_lists() -> None:
    options = NamespaceOptions(allow_user_limited_channels=True)
    assert may_subscribe("chat#bob,alice", options, ALICE) is None
    assert may_subscribe("chat#bob,alicia", options, ALICE) is not None
    assert may_subscribe("chat#", options, NOBODY) is not None


@pytest.mark.parametrize(
    ("channel", "user"),
    [
        ("chat#42", "4"),
        ("chat#42", "2"),
        ("chat#42", "42,"),
        ("chat#42,43", "42,43"),
        ("chat#42,43", "chat"),
        ("chat#4#42", "4"),
        ("chat#a,,b", ""),
        ("$chat#42", "42"),
    ],
)
def test_a_user_limited_channel_admits_nobody_else(channel: str, user: str) -> None:
    options = everything_allowed(for_subscribers=False)
    assert may_subscribe(channel, options, Rights(user)) is not None
    assert not any(may(channel, options, Rights(user)) for may in VERBS)


# Rights: what every client may do is still not done where the name keeps them out


def everything_allowed(*, for_clients: bool = True, for_subscribers: bool = True) -> NamespaceOptions:
    """Return options that allow every verb to every client, or to subscribers alone."""
    allowed = {}
    for name in NamespaceOptions.__struct_fields__:
        if name.startswith("allow_") and name.endswith(("_client", "_anonymous")):
            allowed[name] = for_clients
        elif name.startswith("allow_") and name.endswith("_subscriber"):
            allowed[name] = for_subscribers
    return msgspec.convert(allowed | {"allow_user_limited_channels": True}, NamespaceOptions)


LISTED, OTHER = Rights("alice"), Rights("mallory")
KINDS = {
    # channel: who may subscribe without a token, and so do what every client may do
    "plain": {LISTED, OTHER, NOBODY},
    "news:plain": {LISTED, OTHER, NOBODY},
    "chat#alice,bob": {LISTED},
    "chat:room#alice": {LISTED},
    "chat#": set(),
    "$private": set(),
    "$news:private": set(),
    "$chat#alice": set(),
    "#alice": set(),
    "*": set(),
    "!revoked": set(),
}


@pytest.mark.parametrize("channel", KINDS)
@pytest.mark.parametrize("who", [LISTED, OTHER, NOBODY], ids=["listed", "another", "anonymous"])
def test_a_right_of_every_client_reaches_no_further_than_the_name_admits(channel: str, who: Rights) -> None:
    options = everything_allowed(for_subscribers=False)
    admitted = who in KINDS[channel]
    assert (may_subscribe(channel, options, who) is None) == admitted
    assert [may(channel, options, who) for may in VERBS] == [admitted] * 3


@pytest.mark.parametrize("channel", KINDS)
@pytest.mark.parametrize("by", ["clients", "subscribers"])
def test_who_is_subscribed_was_admitted_by_somebody(channel: str, by: str) -> None:
    options = everything_allowed(for_clients=by == "clients", for_subscribers=by == "subscribers")
    for who in (OTHER, NOBODY):
        subscribed = msgspec.structs.replace(who, subscribed=True)
        assert may_see_presence(channel, options, subscribed)
        assert may_read_history(channel, options, subscribed)
        assert may_publish(channel, options, subscribed) == (channel not in ("#alice", "*", "!revoked"))


@pytest.mark.parametrize("channel", KINDS)
def test_a_right_of_subscribers_is_nobody_elses(channel: str) -> None:
    options = everything_allowed(for_clients=False)
    for who in (LISTED, OTHER, NOBODY):
        assert not any(may(channel, options, who) for may in VERBS)


def test_anonymous_clients_need_a_permission_of_their_own_for_each_verb() -> None:
    allowed = everything_allowed(for_subscribers=False)
    for verb, may in zip(("publish", "presence", "history"), VERBS, strict=True):
        options = msgspec.structs.replace(allowed, **{f"allow_{verb}_for_anonymous": False})
        assert may("plain", options, OTHER)
        assert not may("plain", options, NOBODY)
        assert not may("plain", options, Rights("", subscribed=True))
        others = [other for other in VERBS if other is not may]
        assert all(other("plain", options, NOBODY) for other in others)


@pytest.mark.parametrize("place", range(3))
def test_each_verb_has_an_option_of_its_own(place: int) -> None:
    verb, may = ("publish", "presence", "history")[place], VERBS[place]
    for whom, rights in (("client", OTHER), ("subscriber", Rights("mallory", subscribed=True))):
        options = msgspec.convert({f"allow_{verb}_for_{whom}": True}, NamespaceOptions)
        assert [each for each in VERBS if each("plain", options, rights)] == [may]
