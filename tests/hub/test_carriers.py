"""Sessions of several dialects and transports side by side: what is encoded for whom, and who cannot answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from messageflow.core.namespaces import NamespaceOptions
from messageflow.core.protocol import Unsubscribed
from messageflow.core.stream import Position, Publication
from messageflow.dialects.native import NATIVE
from messageflow.hub.channel import Channel
from messageflow.hub.limits import Limits
from messageflow.hub.transport import FramedEncoder, framed
from messageflow.testing.memory_connection import LINES, MemoryConnection
from tests.hub.carriers import CARRIERS
from tests.hub.conftest import World

ONE_WAY = CARRIERS["one-way toy"].transport


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[FramedEncoder, str, int]]:
    """What was encoded: with which encoder, for which channel, how many publications."""
    calls: list[tuple[FramedEncoder, str, int]] = []
    original = FramedEncoder.publications

    def publications(self: FramedEncoder, channel: str, publications: Sequence[Publication], *, secret: bool) -> bytes:
        calls.append((self, channel, len(publications)))
        return original(self, channel, publications, secret=secret)

    monkeypatch.setattr(FramedEncoder, "publications", publications)
    return calls


async def subscribed(world: World, carrier: str, user: str, *channels: str) -> MemoryConnection:
    connection = MemoryConnection(world.hub, carrier=CARRIERS[carrier])
    connection.send({"id": 1, "connect": {"token": world.token(user)}})
    await world.settle()
    for number, channel in enumerate(channels, 2):
        connection.send({"id": number, "subscribe": {"channel": channel}})
        await world.settle()
        assert connection.replies(number), connection.closed
    return connection


def encoder_of(connection: MemoryConnection) -> FramedEncoder:
    assert connection.session is not None
    return connection.session.encoder


@pytest.mark.parametrize("other", ["toy dialect", "protobuf"])
async def test_a_publication_is_encoded_once_for_each_encoding_in_use_in_its_channel_and_for_no_other(
    world: World, made: list[tuple[FramedEncoder, str, int]], other: str
) -> None:
    natives = [await subscribed(world, "native", f"native{n}", "open:x", "open:y") for n in range(3)]
    toys = [await subscribed(world, other, f"toy{n}", "open:x") for n in range(2)]
    native, toy = encoder_of(natives[0]), encoder_of(toys[0])
    assert native is not toy
    await world.publish("open:x", 1)
    await world.publish("open:y", 2)
    assert sorted(made, key=repr) == sorted(
        [(native, "open:x", 1), (toy, "open:x", 1), (native, "open:y", 1)], key=repr
    )
    assert [c.publications("open:x")[0]["data"] for c in (*natives, *toys)] == [1] * 5
    made.clear()
    for connection in toys:
        connection.lose()
    await world.publish("open:x", 3)
    assert made == [(native, "open:x", 1)]


async def test_those_who_fall_behind_are_encoded_for_and_catch_up_in_their_own_dialect(world: World) -> None:
    carriers = list(CARRIERS)
    crowd = [await subscribed(world, carrier, carrier.split()[0], "open:x") for carrier in carriers]
    for connection in crowd:
        connection.fill()
    await world.publish("open:x", 1, 2)
    late = [await subscribed(world, carrier, f"late-{carrier.split()[0]}", "open:x") for carrier in carriers]
    await world.publish("open:x", 3)
    for connection in crowd:
        connection.empty()
    await world.settle()
    assert [[p["data"] for p in connection.publications("open:x")] for connection in crowd] == [[1, 2, 3]] * len(
        carriers
    )
    assert [[p["data"] for p in connection.publications("open:x")] for connection in late] == [[3]] * len(carriers)


class Member:
    """A member of a channel that only keeps what it is written."""

    client = "member"
    former = ()

    def __init__(self, encoder: FramedEncoder) -> None:
        self.encoder = encoder
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    def lose_position(self, channel: str) -> None:
        raise AssertionError


def test_a_channel_knows_which_encoders_its_members_use() -> None:
    channel = Channel("x", NamespaceOptions())
    first, other = framed(NATIVE, LINES), framed(NATIVE, ONE_WAY)
    channel.anchor(Position("e", 0))
    one, two, three = Member(first), Member(first), Member(other)
    assert list(channel.encoders) == []
    for member in (one, two, three):
        channel.go_live(member, watch=False)
        channel.go_live(member, watch=False)  # again changes nothing
    assert set(channel.encoders) == {first, other}
    channel.leave(one)
    channel.leave(one)
    assert set(channel.encoders) == {first, other}
    channel.leave(two)
    assert list(channel.encoders) == [other]
    channel.go_live(one, watch=False)
    assert set(channel.encoders) == {first, other}
    channel.leave(three)
    channel.leave(one)
    assert list(channel.encoders) == []


def test_a_transport_that_takes_one_frame_a_write_gets_what_belongs_together_in_one() -> None:
    encoder = framed(NATIVE, ONE_WAY)
    publications = [Publication(n, "t", 0.0, b"%d" % n, b"", b"") for n in (1, 2)]
    assert encoder.publications("x", publications, secret=False).count(b"\n\n") == 1
    pushes = [Unsubscribed(1, "a"), Unsubscribed(2, "b")]
    assert encoder.pushes("x", pushes).count(b"\n\n") == 1
    assert framed(NATIVE, LINES).pushes("x", pushes).count(b"\n") == 2
    assert framed(NATIVE, ONE_WAY) is encoder, "one for all who have both"


async def test_who_cannot_answer_is_pinged_and_not_taken_for_dead(world: World) -> None:
    connection = await subscribed(world, "one-way toy", "alice")
    await world.pass_time(120)
    assert connection.closed is None


async def test_who_cannot_answer_is_found_by_what_its_system_acknowledges(world: World) -> None:
    connection = await subscribed(world, "one-way toy", "alice")
    connection.peer_is_gone = True
    await world.pass_time(25)
    assert connection.closed is not None
    assert (connection.closed.code, connection.aborted) == (3012, True)


@pytest.fixture
async def capped() -> AsyncIterator[World]:
    world = World(Limits(connections_per_user=2))
    await world.hub.start()
    yield world
    await world.close()


async def test_who_cannot_answer_keeps_its_place_unless_it_takes_nothing(capped: World) -> None:
    pages = [await subscribed(capped, "one-way toy", "alice") for _ in range(2)]
    refused = await subscribed(capped, "one-way toy", "alice")
    await capped.pass_time(3)
    assert refused.closed is not None
    assert [page.closed for page in pages] == [None, None]
    pages[1].fill()
    newcomer = await subscribed(capped, "one-way toy", "alice")
    await capped.pass_time(3)
    assert pages[1].closed is not None
    assert (pages[0].closed, len(newcomer.replies(1))) == (None, 1)
