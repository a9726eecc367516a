"""Who listens in one channel: however they come, fall behind and go, they are where a plain set says."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messageflow.core.namespaces import NamespaceOptions
from messageflow.core.stream import Position, Publication
from messageflow.dialects.native import NATIVE
from messageflow.gateway.websocket_frames import WEBSOCKET
from messageflow.hub.backlog import Backlogs
from messageflow.hub.channel import Channel
from messageflow.hub.channel_members import NO_EXTRAS
from messageflow.hub.reader_sample import CROWD
from messageflow.hub.transport import FramedEncoder, framed


@dataclass(eq=False)
class Listener:
    """Counts what it is written."""

    encoder: FramedEncoder = field(default_factory=lambda: framed(NATIVE, WEBSOCKET))
    writes: int = 0
    client: str = "listener"
    former: tuple[str, ...] = ()

    def write(self, data: bytes) -> None:
        self.writes += 1

    def lose_position(self, channel: str) -> None:
        raise AssertionError


def _channel() -> Channel:
    channel = Channel("x", NamespaceOptions())
    channel.anchor(Position("e", 0))
    return channel


@given(st.lists(st.tuples(st.sampled_from(["come", "watch", "lag", "leave", "publish"]), st.integers(0, 3))))
def test_however_they_come_and_go_they_are_where_plain_sets_say(steps: list[tuple[str, int]]) -> None:
    channel, backlogs = _channel(), Backlogs(1 << 20, 1.0, lambda: 0.0)
    listeners = [Listener() for _ in range(4)]
    live: set[Listener] = set()
    behind: set[Listener] = set()
    offset = 0
    for step, number in steps:
        listener = listeners[number]
        before = [each.writes for each in listeners]
        if step == "publish":
            offset += 1
            channel.receive("e", Publication(offset, "t", 0.0, b"1"))
            channel.flush(100)
        elif step == "lag":
            channel.fall_behind(listener, backlogs)
            behind.add(listener)
            live.discard(listener)
        elif step == "leave":
            live.discard(listener)
            assert channel.leave(listener) is not bool(live)
            behind.discard(listener)
        else:
            channel.go_live(listener, watch=step == "watch")
            live.add(listener)
            behind.discard(listener)
        assert (set(channel.live), set(channel.lagging)) == (live, behind)
        assert set(channel.sessions) == live | behind
        assert channel.abandoned is not bool(live | behind)
        written = [each.writes - count for each, count in zip(listeners, before, strict=True)]
        assert written == [step == "publish" and each in live for each in listeners]


def test_what_a_channel_needs_for_a_while_goes_again() -> None:
    channel = _channel()
    one, other = Listener(), Listener()
    channel.go_live(one, watch=False)
    channel.go_live(other, watch=False)
    channel.fall_behind(one, Backlogs(1 << 20, 1.0, lambda: 0.0))
    assert channel._extras is not NO_EXTRAS
    channel.go_live(one, watch=False)
    assert channel._extras is NO_EXTRAS
    channel.begin_entering()
    channel.receive("e", Publication(1, "t", 0.0, b"1"))
    assert channel._extras is not NO_EXTRAS
    channel.end_entering()
    assert channel._extras is NO_EXTRAS
    channel.leave(other)
    assert channel._live is None, "one alone takes no table"
    assert list(channel.live) == [one]


@pytest.mark.parametrize("watch", [False, True])
def test_a_channel_says_when_it_has_come_to_have_a_crowd(watch: bool) -> None:
    channel, said = _channel(), []
    for number in range(CROWD + 2):
        channel.begin_entering()
        if channel.let_in(Listener(), watch):
            said.append(number + 1)
    assert said == [CROWD]
