"""The server's side of a WebSocket by itself: what it writes, whom it waits for, and when it stops to wait."""

from __future__ import annotations

import asyncio
import struct

import pytest
from websockets.frames import Close, Frame, Opcode

from messageflow.gateway import websocket_protocol
from messageflow.gateway.websocket_limits import WebSocketLimits
from messageflow.gateway.websocket_protocol import WebSocketProtocol

LIMITS = WebSocketLimits(message_size_limit=100, fragments_limit=3, buffer_high_water=777)
KEY = b"\x01\x02\x03\x04"


def frame(payload: bytes, opcode: Opcode = Opcode.TEXT, *, fin: bool = True) -> bytes:
    masked = bytes(byte ^ KEY[i % 4] for i, byte in enumerate(payload))
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + struct.pack("!H", size)
    return bytes([(0x80 if fin else 0) | opcode]) + length + KEY + masked


class Wire(asyncio.Transport):
    """A transport that notes what is done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.high = 0
        self.closed = False
        self.ended = False
        self.heir: asyncio.BaseProtocol | None = None
        self.aborted = asyncio.Event()
        self.waiting = 0

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high or 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.heir = protocol

    def resume_reading(self) -> None:
        pass

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True
        self.aborted.set()


class Link(WebSocketProtocol):
    """Notes what comes."""

    def __init__(self) -> None:
        super().__init__(LIMITS)
        self.came: list[bytes | str] = []
        self.failures: list[tuple[int, str]] = []
        self.lost = self.goodbyes = 0
        self.wire = Wire()
        self.connection_made(self.wire)

    def on_text(self, message: bytes) -> None:
        self.came.append(message.decode())

    def on_binary(self, message: bytes) -> None:
        self.came.append(message)

    def on_goodbye(self) -> None:
        self.goodbyes += 1

    def on_lost(self) -> None:
        self.lost += 1

    def on_failure(self, code: int, reason: str) -> None:
        self.failures.append((code, reason))

    def says(self, payload: bytes, opcode: Opcode = Opcode.TEXT, *, fin: bool = True) -> None:
        self.data_received(frame(payload, opcode, fin=fin))


def closing(code: int, reason: str = "") -> bytes:
    return Frame(Opcode.CLOSE, Close(code, reason).serialize()).serialize(mask=False)


async def test_the_high_water_of_the_limits_is_the_transports() -> None:
    assert Link().wire.high == 777


async def test_a_peer_that_does_not_answer_the_close_frame_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_protocol, "CLOSE_TIMEOUT", 0.01)
    link = Link()
    link.send_close(3001, "shutdown")
    assert link.wire.written == closing(3001, "shutdown")
    assert not link.wire.closed
    async with asyncio.timeout(20):
        await link.wire.aborted.wait()


@pytest.mark.parametrize("last", [frame(struct.pack("!H", 1000), Opcode.CLOSE), frame(b"x", Opcode.CONT)])
async def test_a_peer_that_leaves_or_errs_and_takes_nothing_more_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, last: bytes
) -> None:
    """The transport that is closed waits for what is still to be written."""
    monkeypatch.setattr(websocket_protocol, "CLOSE_TIMEOUT", 0.01)
    link = Link()
    link.data_received(last)
    assert link.wire.closed
    async with asyncio.timeout(20):
        await link.wire.aborted.wait()


async def test_a_peer_that_answers_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_protocol, "CLOSE_TIMEOUT", 0.01)
    link = Link()
    link.send_close(3001, "shutdown")
    link.says(struct.pack("!H", 3001), Opcode.CLOSE)
    assert link.wire.closed
    assert link.wire.written == closing(3001, "shutdown")
    link.connection_lost(None)
    await asyncio.sleep(0.05)
    assert not link.wire.aborted.is_set()
    assert link.lost == 1


async def test_after_a_close_frame_nothing_is_said_and_nothing_counts() -> None:
    link = Link()
    link.send_close(3001, "shutdown")
    link.send_close(3000, "again")
    link.says(b"late")
    link.says(b"x", Opcode.PING)
    assert link.came == []
    assert link.wire.written == closing(3001, "shutdown")
    link.connection_lost(None)


async def test_to_a_connection_that_is_closing_nothing_is_said() -> None:
    link = Link()
    link.wire.close()
    link.send_close(3001, "shutdown")
    assert link.wire.written == b""


@pytest.mark.parametrize("reason", ["x" * 200, "é" * 100, "😀" * 100, "x😀" * 40], ids=["1", "2", "4", "1 and 4 bytes"])
async def test_a_reason_is_cut_to_what_a_close_frame_holds(reason: str) -> None:
    link = Link()
    link.send_close(3503, reason)
    payload = link.wire.written[2:]
    assert link.wire.written[1] == len(payload) <= 125
    assert len(payload) > 120
    assert reason.startswith(payload[2:].decode())
    link.connection_lost(None)


async def test_a_peer_that_closes_is_answered_with_its_code() -> None:
    link = Link()
    link.says(struct.pack("!H", 4321) + b"bye", Opcode.CLOSE)
    assert link.wire.written == closing(4321)
    assert link.wire.closed


async def test_what_comes_after_a_close_frame_is_not_looked_at() -> None:
    link = Link()
    link.data_received(frame(struct.pack("!H", 1000), Opcode.CLOSE) + frame(b"late") + b"\x83\x00")
    assert (link.came, link.failures) == ([], [])
    assert link.wire.written == closing(1000)
    link.connection_lost(None)


async def test_a_peer_that_closes_without_a_code_is_answered_without() -> None:
    link = Link()
    link.says(b"", Opcode.CLOSE)
    assert link.wire.written == b"\x88\x00"
    assert link.wire.closed


async def test_a_ping_is_answered_with_what_it_carries_also_within_a_message() -> None:
    link = Link()
    link.says(b"one ", fin=False)
    link.says(b"mark", Opcode.PING)
    link.says(b"message", Opcode.CONT)
    assert link.wire.written == b"\x8a\x04mark"
    assert link.came == ["one message"]


async def test_pings_of_a_peer_that_takes_no_answers_do_not_pile_up() -> None:
    link = Link()
    link.wire.waiting = 2 * LIMITS.buffer_high_water
    link.says(b"a", Opcode.PING)
    link.wire.waiting += 1
    link.says(b"b", Opcode.PING)
    assert link.wire.written == b"\x8a\x01a"


async def test_the_end_of_what_the_peer_says_is_a_goodbye(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_protocol, "CLOSE_TIMEOUT", 0.01)
    link = Link()
    link.wire.waiting = 1
    link.eof_received()  # the transport closes by itself
    assert (link.goodbyes, link.wire.written, link.lost) == (1, b"", 0)
    async with asyncio.timeout(30):
        await link.wire.aborted.wait()
    left = Link()
    left.says(b"", Opcode.CLOSE)
    left.eof_received()
    assert left.goodbyes == 1


async def test_a_peer_that_leaves_while_nothing_waits_for_it_costs_no_timer() -> None:
    link = Link()
    link.eof_received()
    assert (link.goodbyes, link._closing) == (1, None)


async def test_a_pong_is_no_message() -> None:
    link = Link()
    link.says(b"x", Opcode.PONG)
    assert (link.came, link.wire.written) == ([], b"")


@pytest.mark.parametrize("size", range(1, 12))
async def test_messages_may_come_in_pieces_of_any_size(size: int) -> None:
    link = Link()
    data = frame(b"first") + frame(b"two ", fin=False) + frame(b"parts", Opcode.CONT) + frame(b"\x00", Opcode.BINARY)
    for start in range(0, len(data), size):
        link.data_received(data[start : start + size])
    assert link.came == ["first", "two parts", b"\x00"]


async def test_between_frames_a_connection_holds_no_parser() -> None:
    link = Link()
    data = frame(b"first")
    link.data_received(data[:3])
    assert link._reader is not None
    link.data_received(data[3:])
    assert link._reader is None
    assert link._frame is None


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([(b"x" * 101, Opcode.TEXT, True)], 1009),
        ([(b"x" * 60, Opcode.TEXT, False), (b"x" * 41, Opcode.CONT, True)], 1009),
        ([(b"", Opcode.TEXT, False)] + [(b"", Opcode.CONT, False)] * 3, 1009),
        ([(b"x", Opcode.CONT, True)], 1002),
        ([(b"x", Opcode.TEXT, False), (b"x", Opcode.TEXT, True)], 1002),
        ([(b"\xff", Opcode.TEXT, True)], 1007),
        ([(b"\x00", Opcode.CLOSE, True)], 1002),
    ],
)
async def test_what_breaks_the_protocol_is_told_and_nothing_after_it_is_read(
    frames: list[tuple[bytes, Opcode, bool]], code: int
) -> None:
    link = Link()
    link.data_received(b"".join(frame(payload, opcode, fin=fin) for payload, opcode, fin in frames) + frame(b"after"))
    assert [failed for failed, _ in link.failures] == [code]
    assert link.wire.written == closing(code)
    assert link.wire.closed or link.wire.ended
    assert link.came == []


async def test_what_is_still_to_come_of_a_message_too_large_is_thrown_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_protocol, "CLOSE_TIMEOUT", 0.05)
    link = Link()
    link.data_received(frame(b"x" * 101)[:50])
    heir = link.wire.heir
    assert isinstance(heir, asyncio.Protocol)
    assert (link.wire.ended, link.wire.closed) == (True, False)  # a reset would take the close code with it
    heir.data_received(frame(b"x" * 101)[50:] + frame(b"after"))
    assert (link.wire.written, link.came) == (closing(1009), [])
    await asyncio.wait_for(link.wire.aborted.wait(), 10)  # whoever goes on sending is cut off
    heir.connection_lost(None)
    assert link.lost == 1


async def test_the_largest_message_and_the_most_fragments_pass() -> None:
    link = Link()
    link.says(b"x" * 100)
    link.says(b"a", fin=False)
    link.says(b"b", Opcode.CONT, fin=False)
    link.says(b"c", Opcode.CONT)
    assert link.came == ["x" * 100, "abc"]
    assert link.failures == []
