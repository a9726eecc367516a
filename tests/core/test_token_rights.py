"""What a token allows in channels, by values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messageflow.core.channel_patterns import matches
from messageflow.core.namespaces import NamespaceOptions, Namespaces
from messageflow.core.permissions import Rights, may_subscribe
from messageflow.core.token_limits import MOST_GRANTS
from messageflow.core.token_rights import SUBSCRIBE, VERBS, Grant, allows, read_grant, read_grants

PLAIN = NamespaceOptions()
LIMITED = NamespaceOptions(allow_user_limited_channels=True)


@pytest.mark.parametrize(
    ("text", "pattern", "verbs"),
    [
        ("news:*", "news:*", {"subscribe"}),
        ("org-7:*=subscribe,history", "org-7:*", {"subscribe", "history"}),
        ("org-7:*=history , presence", "org-7:*", {"history", "presence"}),
        ("board=publish", "board", {"publish"}),
        ("a=b=publish", "a=b", {"publish"}),
        ("$secret:*", "$secret:*", {"subscribe"}),
        ("*", "*", {"subscribe"}),
    ],
)
def test_what_an_entry_says(text: str, pattern: str, verbs: set[str]) -> None:
    assert read_grant(text) == Grant(pattern, frozenset(verbs))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it is empty"),
        ("=subscribe", "it is empty"),
        ("news:*=", "allows ''"),
        ("news:*=read", "allows 'read'"),
        ("news:*=subscribe,", "allows ''"),
        ("a*b", "a star stands only at the end"),
        ("news:é", "printable ASCII"),
        ("#alice", "comes by itself"),
        ("#*=publish", "comes by itself"),
        ("!revoked", "comes by itself"),
        ("x" * 300, "at most 255"),
    ],
)
def test_what_no_entry_can_say(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_grant(text)


def test_a_token_allows_so_much_and_no_more() -> None:
    assert len(read_grants(("news:*",) * MOST_GRANTS)) == MOST_GRANTS
    with pytest.raises(ValueError, match="use patterns"):
        read_grants(("news:*",) * (MOST_GRANTS + 1))


def may(*texts: str, verb: str = "subscribe", channel: str, options: NamespaceOptions = PLAIN) -> bool:
    return allows(read_grants(texts), verb, channel, options, "alice")  # type: ignore[arg-type]


def test_what_is_not_named_is_not_allowed() -> None:
    assert may("news:*", channel="news:eu")
    assert not may("news:*", channel="newsroom:eu")
    assert not may("news:*", channel="news:eu", verb="history")
    assert may("board", "news:*=history", channel="news:eu", verb="history")
    assert not may(channel="news:eu")


@pytest.mark.parametrize("channel", ["#alice", "#bob", "*", "!revoked"])
def test_what_is_the_servers_own_is_never_allowed(channel: str) -> None:
    for verb in VERBS:
        assert not may("*=subscribe,publish,history,presence", channel=channel, verb=verb)


def test_a_star_reaches_no_private_channel_unless_the_pattern_is_private_too() -> None:
    assert not may("*", channel="$news:eu")
    assert may("$news:*", channel="$news:eu")
    assert may("$news:eu", channel="$news:eu")
    assert not may("news:*", channel="$news:eu")


def test_a_star_reaches_no_channel_that_is_limited_to_others() -> None:
    assert may("chat:*", channel="chat:7#alice,bob", options=LIMITED)
    assert not may("chat:*", channel="chat:7#bob,carol", options=LIMITED)
    assert not may("$chat:*", channel="$chat:7#bob,carol", options=LIMITED)
    assert may("chat:*", channel="chat:7#bob,carol", options=PLAIN)  # there it is a name like any other
    assert may("chat:7#bob,carol", channel="chat:7#bob,carol", options=LIMITED)  # as a subscription token would


@given(
    st.lists(st.sampled_from(["news:*", "org:1=publish", "$p:*=history", "*", "*=presence", "news:eu"]), max_size=5),
    st.sampled_from(["news:eu", "org:1", "$p:1", "#alice", "*", "!x", "other"]),
    st.sampled_from(VERBS),
)
def test_more_entries_never_allow_less(texts: list[str], channel: str, verb: str) -> None:
    for count in range(len(texts)):
        if may(*texts[:count], channel=channel, verb=verb):
            assert may(*texts, channel=channel, verb=verb)
    assert set(VERBS) > SUBSCRIBE


@pytest.mark.parametrize("pattern", ["org-*", "chat:*", "chat:room", "lobby", "*"])
@pytest.mark.parametrize(
    "channel",
    [
        *(
            "org-7",
            "org-7:b",
            "or",
            "chat:x",
            "chat:room",
            "chat:room2",
            "lobby",
            "lobby:x",
            "chat:x#bob",
            "chat:x#alice",
        ),
        *("$chat:x", "$lobby", "#alice", "#org-7", "*", "!x"),
    ],
)
def test_a_pattern_reads_the_same_in_a_token_and_a_namespace_and_never_means_more_to_a_handler(
    pattern: str, channel: str
) -> None:
    by_token = allows(read_grants((pattern,)), "subscribe", channel, LIMITED, "alice")
    opened = NamespaceOptions(allow_subscribe_for_client=True, allow_user_limited_channels=True)
    options = Namespaces(patterns={pattern: opened}).options(channel)
    by_namespace = options is not None and may_subscribe(channel, options, Rights("alice")) is None
    assert by_namespace == by_token or (channel.endswith("#alice") and by_namespace)  # the name itself lets her in
    assert not by_token or matches(pattern, channel)
