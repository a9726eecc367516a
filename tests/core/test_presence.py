"""Presence: who is there, as long as the node that they are connected to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from messageflow.core.client_info import ClientInfo
from messageflow.core.presence import Presence


def test_the_entries_of_a_node_that_is_gone_are_gone() -> None:
    presence = Presence()
    for node, client in (("living", "a"), ("dying", "b")):
        presence.add("x", ClientInfo("user", client), node)
    assert set(presence.clients("x")) == {"a", "b"}
    assert [(channel, info.client) for channel, info in presence.remove_node("dying")] == [("x", "b")]
    assert set(presence.clients("x")) == {"a"}
    assert presence.remove_node("dying") == []


def test_connections_and_users_are_counted_apart() -> None:
    presence = Presence()
    for user, client in (("alice", "a"), ("alice", "b"), ("bob", "c")):
        presence.add("x", ClientInfo(user, client), "node")
    presence.remove("x", "c")
    presence.remove("x", "never there")
    assert presence.stats("x") == (2, 1)
    assert presence.stats("elsewhere") == (0, 0)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "remove"]), st.sampled_from("xy"), st.sampled_from("abc"), st.sampled_from("nm")
        )
    )
)
def test_whoever_comes_and_goes_the_entries_are_those_of_a_plain_table(steps: list[tuple[str, str, str, str]]) -> None:
    presence = Presence()
    table: dict[tuple[str, str], tuple[ClientInfo, str]] = {}
    for number, (step, channel, client, node) in enumerate(steps):
        if step == "add":
            info = ClientInfo(str(number), client)
            presence.add(channel, info, node)
            table[channel, client] = info, node
        else:
            presence.remove(channel, client)
            table.pop((channel, client), None)
    for channel in "xy":
        assert presence.clients(channel) == {info.client: info for (at, _), (info, _) in table.items() if at == channel}
    gone = presence.remove_node("n")
    assert {(channel, info.client) for channel, info in gone} == {
        key for key, (_, node) in table.items() if node == "n"
    }
    assert len(presence.clients("x")) == sum(at == "x" and node == "m" for (at, _), (_, node) in table.items())
