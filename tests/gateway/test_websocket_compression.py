"""permessage-deflate: what is agreed, what is compressed once for all, what is read, and what never is compressed."""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import PayloadTooBig
from websockets.frames import Close, Frame, Opcode

from messageflow import AsyncFlow
from messageflow.core.namespaces import NamespaceOptions, Namespaces
from messageflow.core.stream import SECRET
from messageflow.gateway.websocket_compression import CompressedTransport, Inflater, InflatingProtocol, accept_offer
from messageflow.gateway.websocket_frames import text_frame
from messageflow.hub.history_limits import HistoryLimits
from messageflow.hub.limits import Limits
from messageflow.testing.memory_connection import Carrier, MemoryConnection
from tests.gateway.test_websocket_protocol import LIMITS, Link
from tests.hub import conftest
from tests.hub.conftest import World
from tests.support import API_KEY, TOKEN_SECRET, running

AGREED = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
TEXT = json.dumps({"rows": [{"id": n, "state": "waiting"} for n in range(30)]})
SMALLEST = 100


def deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def inflate(data: bytes) -> bytes:
    return zlib.decompressobj(wbits=-12).decompress(data + b"\0\0\xff\xff")


def framed(data: bytes, opcode: Opcode = Opcode.TEXT, *, fin: bool = True, rsv1: bool = True) -> bytes:
    frame = bytearray(Frame(opcode, data, fin).serialize(mask=True))
    frame[0] |= 0x40 if rsv1 else 0
    return bytes(frame)


@pytest.mark.parametrize(
    ("offered", "answer"),
    [
        ("permessage-deflate", AGREED),
        ("permessage-deflate; client_max_window_bits", AGREED),  # as Chromium and Firefox say it
        ("permessage-deflate; client_max_window_bits=10; client_no_context_takeover", AGREED),
        (
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
            AGREED + "; server_max_window_bits=12",
        ),
        ("permessage-deflate; server_max_window_bits=15", AGREED + "; server_max_window_bits=12"),
        ("permessage-deflate; server_max_window_bits=9, permessage-deflate", AGREED),
        ("x-webkit-deflate-frame, permessage-deflate", AGREED),
        ("permessage-deflate; server_max_window_bits=9", ""),
        ("permessage-deflate; server_max_window_bits", ""),
        ("permessage-deflate; server_max_window_bits=16", ""),
        ("permessage-deflate; client_max_window_bits=07", ""),
        ("permessage-deflate; client_max_window_bits=x", ""),
        ("permessage-deflate; client_max_window_bits=" + "1" * 5000, ""),  # more digits than Python makes a number of
        ("permessage-deflate; server_no_context_takeover=1", ""),
        ("permessage-deflate; client_no_context_takeover; client_no_context_takeover", ""),
        ("permessage-deflate; unknown", ""),
        ("permessage-bzip2", ""),
        (";;;", ""),
        ("", ""),
    ],
)
def test_of_what_is_offered_the_first_is_taken_that_can_be(offered: str, answer: str) -> None:
    assert accept_offer(offered) == answer


def test_each_message_is_compressed_by_itself() -> None:
    frame = CompressedTransport(SMALLEST).shared_framing(text=True)
    first, second = frame(TEXT.encode()), frame(TEXT.encode())
    assert first == second, "something of the one is in the other"
    assert first[:2] == bytes([0xC1, 126])
    assert len(first) < len(TEXT) / 3
    assert inflate(first[4:]) == TEXT.encode()


def test_what_is_small_or_would_grow_is_sent_as_it_is() -> None:
    frame = CompressedTransport(SMALLEST).shared_framing(text=True)
    dense = json.dumps({"key": "".join(map(chr, range(35, 127)))}).encode()
    assert frame(b"a" * (SMALLEST - 1)) == text_frame(b"a" * (SMALLEST - 1))
    assert frame(dense) == text_frame(dense)


def test_a_binary_dialect_has_compressed_binary_frames() -> None:
    assert CompressedTransport(SMALLEST).shared_framing(text=False)(b"a" * 100)[:1] == b"\xc2"


class CompressedLink(InflatingProtocol, Link):
    """A protocol that has agreed to it."""

    _inflater = None


async def test_compressed_messages_are_read_whole_in_fragments_and_among_others() -> None:
    link, data = CompressedLink(), deflate(b"hello " * 15)
    link.data_received(framed(data))
    link.says(b"plain")
    link.data_received(framed(data[:4], fin=False) + framed(b"", Opcode.PING, rsv1=False))
    link.data_received(framed(data[4:], Opcode.CONT, rsv1=False) + framed(deflate(b"x"), Opcode.BINARY))
    for byte in framed(data):
        link.data_received(bytes([byte]))
    assert link.came == ["hello " * 15, "plain", "hello " * 15, b"x", "hello " * 15]
    assert link.failures == []


BOMB = deflate(bytes(10_000_000))
HALF = deflate(b"a" * 60)
FULL = deflate(b"a" * LIMITS.message_size_limit)


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        pytest.param([framed(BOMB[: LIMITS.message_size_limit])], 1009, id="bomb"),
        pytest.param([framed(BOMB[:50], fin=False), framed(BOMB[50:90], Opcode.CONT, rsv1=False)], 1009, id="in two"),
        pytest.param(
            [framed(FULL + b"\0\0\xff\xff", fin=False), framed(FULL, Opcode.CONT, rsv1=False)],
            1009,
            id="full with the first",
        ),
        pytest.param([framed(b"\xff\xff\xff")], 1002, id="no deflate"),
        pytest.param([framed(HALF[:3], fin=False), framed(HALF[3:], Opcode.CONT)], 1002, id="RSV1 in a continuation"),
        pytest.param([framed(b"", Opcode.PING)], 1002, id="RSV1 in a ping"),
        pytest.param([framed(deflate(b"\xff\xfe"))], 1007, id="no UTF-8"),
    ],
)
async def test_what_is_wrong_with_a_compressed_message_ends_the_connection(frames: list[bytes], code: int) -> None:
    link = CompressedLink()
    for frame in frames:
        link.data_received(frame)
    assert link.failures[0][0] == code
    assert link.came == []


async def test_a_compressed_message_that_was_not_agreed_to_ends_the_connection() -> None:
    link = Link()
    link.data_received(framed(deflate(b"hello")))
    assert link.failures == [(1002, "reserved bits must be 0")]
    assert link.wire.written == Frame(Opcode.CLOSE, Close(1002, "").serialize()).serialize(mask=False)


@pytest.mark.parametrize("first", [60, 100])
def test_no_more_is_inflated_than_what_is_left_of_a_message(first: int) -> None:
    inflater, compressor = Inflater(), zlib.compressobj(wbits=-15)
    begun, rest = (compressor.compress(b"a" * size) + compressor.flush(zlib.Z_SYNC_FLUSH) for size in (first, 80))
    assert len(inflater.decode(Frame(Opcode.TEXT, begun, False, True), max_size=100).data) == first
    with pytest.raises(PayloadTooBig):
        inflater.decode(Frame(Opcode.CONT, rest), max_size=100)


def read(data: bytes) -> list[dict[str, Any]]:
    """Return the messages in frames, and whether they were compressed."""
    found = []
    while data:
        length, start = data[1], 2
        if length == 126:
            length, start = int.from_bytes(data[2:4], "big"), 4
        payload, compressed = data[start : start + length], bool(data[0] & 0x40)
        message = msgspec.json.decode(inflate(payload) if compressed else payload)
        found.append({**message, "compressed": compressed})
        data = data[start + length :]
    return found


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    secret = NamespaceOptions(allow_subscribe_for_client=True, compress=False)
    monkeypatch.setattr(conftest, "NAMESPACES", Namespaces(named={"open": conftest.OPEN, "secret": secret}))
    monkeypatch.setattr(World, "carrier", Carrier(transport=CompressedTransport(SMALLEST), read=read))
    made = World(Limits(history=HistoryLimits(chunk_bytes=len(TEXT))))
    await made.hub.start()
    yield made
    await made.close()


def pushed(connection: MemoryConnection) -> list[tuple[object, bool]]:
    return [(m["push"]["pub"]["data"], m["compressed"]) for m in connection.written if "pub" in m.get("push", {})]


async def test_what_is_published_is_compressed_once_for_all_and_replies_are_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers = [await world.subscribed(name, "open:x") for name in ("alice", "bob")]
    compress = readers[0].session.encoder._compress  # type: ignore[union-attr]
    made: list[bytes] = []
    monkeypatch.setattr(readers[0].session.encoder, "_compress", lambda data: made.append(data) or compress(data))  # type: ignore[union-attr, func-returns-value]
    await world.publish("open:x", TEXT, "1")
    assert [pushed(reader) for reader in readers] == [[(json.loads(TEXT), True), (1, False)]] * 2
    assert len(made) == 2
    [reply] = (await world.subscribed("carol", "open:x", recover=True, offset=0)).replies(2)
    assert reply["compressed"] is False
    assert reply["subscribe"]["publications"][0]["data"] == json.loads(TEXT)


async def test_who_lags_is_sent_it_compressed_too(world: World) -> None:
    slow = await world.subscribed("alice", "open:x")
    slow.fill()
    await world.publish("open:x", *[TEXT] * 3)
    assert pushed(slow) == []
    slow.empty()
    await world.settle()
    assert pushed(slow) == [(json.loads(TEXT), True)] * 3


@pytest.mark.parametrize(("channel", "compressed"), [("secret:x", False), ("open:x", True)])
async def test_nothing_in_a_channel_marked_secret_is_compressed(world: World, channel: str, compressed: bool) -> None:
    slow, reader = [await world.subscribed(name, channel) for name in ("alice", "bob")]
    slow.fill()
    await world.publish(channel, *[TEXT] * 2)
    slow.empty()
    await world.settle()
    assert pushed(reader) == pushed(slow) == [(json.loads(TEXT), compressed)] * 2
    late = await world.subscribed("carol", channel, recover=True, offset=0)  # more than the answer holds
    assert len(late.replies(2)[0]["subscribe"]["publications"]) == 1
    assert pushed(late) == [(json.loads(TEXT), compressed)]


async def test_a_publication_marked_secret_is_sent_as_it_is_among_others(world: World) -> None:
    reader = await world.subscribed("alice", "open:x")
    await world.publish_only("open:x", TEXT)
    await world.publish_only("open:x", TEXT, flags=SECRET)
    await world.publish("open:x", TEXT)
    assert [compressed for _, compressed in pushed(reader)] == [True, False, True]


CONFIG = """
compression = true
[[channel.namespaces]]
name = "open"
allow_subscribe_for_client = true
allow_publish_for_client = true
"""


async def test_a_client_that_offers_it_and_one_that_does_not_are_sent_the_same(tmp_path: Path) -> None:
    (tmp_path / "messageflow.toml").write_text(CONFIG)
    token = jwt.encode({"sub": "alice", "exp": time.time() + 600}, TOKEN_SECRET, "HS256")
    commands = [{"id": 1, "connect": {"token": token}}, {"id": 2, "subscribe": {"channel": "open:x"}}]
    with running(["serve", "--config", str(tmp_path / "messageflow.toml")], tmp_path / "data") as gateway:
        async with (
            asyncio.timeout(30),
            connect(gateway.websocket) as ours,
            connect(gateway.websocket, subprotocols=["centrifuge-json"]) as named,  # type: ignore[list-item]
            connect(gateway.websocket, compression=None) as plain,
            AsyncFlow(gateway.url, api_key=API_KEY) as flow,
        ):
            assert [len(each.protocol.extensions) for each in (ours, named, plain)] == [1, 1, 0]
            for each in (ours, named, plain):
                await each.send("\n".join(map(json.dumps, commands)))
                while "subscribe" not in (answer := str(await each.recv())):
                    assert "connect" in answer
            await flow.publish("open:x", json.loads(TEXT))
            heard = [json.loads(str(await each.recv())) for each in (ours, named, plain)]
            assert heard[0]["push"]["pub"]["data"] == json.loads(TEXT)
            assert heard[0] == heard[1] == heard[2]
            await ours.send(json.dumps({"id": 3, "publish": {"channel": "open:x", "data": {"page": "a" * 500}}}))
            while "publish" not in str(await ours.recv()):
                pass
            assert json.loads(str(await plain.recv()))["push"]["pub"]["data"] == {"page": "a" * 500}
        assert not gateway.events("protocol_error")
