"""One channel by itself: what it keeps for those on their way in, and for how long."""

from __future__ import annotations

from messageflow.core.namespaces import NamespaceOptions
from messageflow.core.stream import Position, Publication
from messageflow.hub.channel import Channel, Received


def test_what_is_kept_for_those_on_their_way_in_goes_with_the_last_of_them() -> None:
    channel = Channel("x", NamespaceOptions())
    channel.begin_entering()
    channel.begin_entering()
    assert channel.receive("e", Publication(1, "t", 0.0, b"1", b"", b"")) is Received.ASIDE
    channel.end_entering()
    assert [p.offset for p in channel.list_arrived("e", 0, 9)] == [1]
    assert channel.list_arrived("another", 0, 9) == []
    channel.end_entering()
    assert channel.aside is None
    assert channel.list_arrived("e", 0, 9) == []
    channel.anchor(Position("e", 1, "t"))
    assert channel.receive("e", Publication(2, "u", 0.0, b"2", b"", b"")) is Received.PENDING
    assert channel.aside is None, "nobody is on their way in"
