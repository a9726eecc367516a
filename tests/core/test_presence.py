"""Presence by leases: who is there is believed for as long as his worker says so."""

from __future__ import annotations

from messageflow.core.presence import Presence
from messageflow.core.protocol import ClientInfo


def test_the_entries_of_a_node_that_stops_renewing_are_gone() -> None:
    presence = Presence(lease=30)
    for node, client in (("living", "a"), ("dying", "b")):
        presence.renew(node, 0.0)
        presence.add("x", ClientInfo("user", client), node)
    presence.renew("living", 20.0)
    assert set(presence.clients("x", 29.0)) == {"a", "b"}
    assert set(presence.clients("x", 31.0)) == {"a"}
    assert [(channel, info.client) for channel, info in presence.remove_node("dying")] == [("x", "b")]
    assert presence.remove_node("dying") == []


def test_connections_and_users_are_counted_apart() -> None:
    presence = Presence()
    presence.renew("node", 0.0)
    for user, client in (("alice", "a"), ("alice", "b"), ("bob", "c")):
        presence.add("x", ClientInfo(user, client), "node")
    presence.remove("x", "c")
    presence.remove("x", "never there")
    assert presence.stats("x", 1.0) == (2, 1)
    assert presence.stats("elsewhere", 1.0) == (0, 0)
