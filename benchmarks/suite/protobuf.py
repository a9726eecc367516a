"""The native protocol in Protobuf beside the same in JSON: what connects, deliveries and publishing clients cost."""

from __future__ import annotations

import json
import selectors
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from benchmarks.figures import Figure, at_most_times_peer
from benchmarks.plan import Plan
from benchmarks.publishing import PAYLOAD_BYTES, publish_in_sequence
from benchmarks.servers.base import PublishSide, Server, running
from benchmarks.servers.gateway import token, with_flags
from messageflow.dialects.protobuf_wire import delimit, make_delimiter

SUBSCRIBERS = 1000
TALKERS = 10
IN_ONE_GO = 20  # commands that a client has under way
SECONDS = 30.0
METHOD = (
    "One gateway, in turns of both forms. Connects: upgrade with the subprotocol that official SDKs name, token, one "
    "subscription beside the two that the server makes, 50 at a time. Deliveries: "
    f"{SUBSCRIBERS} subscribers of a channel of their form, one publication of {PAYLOAD_BYTES} bytes after another by "
    f"HTTP. Publishing: {TALKERS} clients with {IN_ONE_GO} commands under way each, to a channel that nobody hears. "
    "CPU of the gateway for one of them."
)


class Form(NamedTuple):
    """How one form of the protocol says what the load says.

    Args:
        name: of the form, in channels.
        subprotocol: that is asked for.
        first_byte: of a frame.
        connect: and subscribe, of token and channel, in one message.
        publish: one command, of a channel and JSON.
        ready: what stands in the answer to the subscribe.
        published: what the answer to a publish is made of.
    """

    name: str
    subprotocol: str
    first_byte: bytes
    connect: Callable[[str, str], bytes]
    publish: Callable[[str, str], bytes]
    ready: bytes
    published: bytes

    @property
    def channel(self) -> str:
        return f"bench:{self.name}"


def _json_connect(token: str, channel: str) -> bytes:
    return b'{"id":1,"connect":{"token":"%b"}}\n{"id":2,"subscribe":{"channel":"%b"}}' % (
        token.encode(),
        channel.encode(),
    )


def _json_publish(channel: str, data: str) -> bytes:
    return b'{"id":3,"publish":{"channel":"%b","data":%b}}' % (channel.encode(), data.encode())


_first, _second = make_delimiter(1, str.encode), make_delimiter(2, str.encode)
_connect, _subscribe, _publish = (make_delimiter(number, bytes) for number in (4, 5, 7))


def _protobuf_connect(token: str, channel: str) -> bytes:
    return delimit(b"\x08\x01" + _connect(_first(token))) + delimit(b"\x08\x02" + _subscribe(_first(channel)))


def _protobuf_publish(channel: str, data: str) -> bytes:
    return delimit(b"\x08\x03" + _publish(_first(channel) + _second(data)))


JSON = Form(
    "json", "centrifuge-json", b"\x81", _json_connect, _json_publish, b'"id":2,"subscribe"', b'"id":3,"publish"'
)
PROTOBUF = Form(
    "protobuf",
    "centrifuge-protobuf",
    b"\x82",
    _protobuf_connect,
    _protobuf_publish,
    b"\x08\x02\x32",
    b"\x08\x03\x42\x00",
)
FORMS = (PROTOBUF, JSON)
HANDSHAKE = (
    "GET /connection/websocket HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: {subprotocol}\r\n\r\n"
)


def run(plan: Plan) -> list[Figure]:
    """Measure."""
    turns, connects, deliveries, publishes = plan.of(short=(7, 500, 200, 2_000), full=(15, 1_000, 500, 5_000))
    server = with_flags("--commands-per-second", "0", "--ping-interval", "1h")(plan.scratch)
    found: dict[tuple[str, Form], list[float]] = {}
    with running(server, plan.scratch) as process, ExitStack() as stack:
        crowds = {form: stack.enter_context(crowd(server, form, range(SUBSCRIBERS))) for form in FORMS}
        loads: dict[str, tuple[int, Callable[[Form], None]]] = {
            "connect": (connects, lambda form: connect_and_leave(server, form, connects)),
            "delivery": (deliveries * SUBSCRIBERS, lambda form: deliver(server, form, crowds[form], deliveries)),
            "publish of a client": (publishes, lambda form: publish(server, form, publishes)),
        }
        for what, (count, load) in loads.items():
            plan.say(f"  {what}")
            for turn in range(turns + 1):  # the first warms up
                for form in FORMS:
                    before = process.cpu_seconds()
                    load(form)
                    if turn:
                        found.setdefault((what, form), []).append((process.cpu_seconds() - before) / count * 1e6)
    return [
        Figure(
            f"CPU per {what} in Protobuf",
            "µs",
            tuple(found[what, PROTOBUF]),
            "JSON",
            tuple(found[what, JSON]),
            (at_most_times_peer(1.05 if what == "delivery" else 1.1),),
        )
        for what in loads
    ]


def frame(form: Form, message: bytes) -> bytes:
    """Return a masked frame; the mask of zeros leaves the message as it is."""
    size = len(message)
    length = bytes((0x80 | size,)) if size < 126 else bytes((0x80 | 126, *size.to_bytes(2, "big")))
    return form.first_byte + length + bytes(4) + message


def begin(server: Server, form: Form, number: int) -> socket.socket:
    """Open a connection, and say all that there is to say."""
    link = socket.create_connection(("127.0.0.1", server.port), SECONDS)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.sendall(HANDSHAKE.format(port=server.port, subprotocol=form.subprotocol).encode())
    return link


def enter(form: Form, links: Sequence[socket.socket], numbers: Sequence[int], channel: str) -> None:
    """Wait for the upgrades, then subscribe, and wait for the answers."""
    for link in links:
        hear(link, b"\r\n\r\n")
    for link, number in zip(links, numbers, strict=True):
        link.sendall(frame(form, form.connect(token(number), channel)))
    for link in links:
        hear(link, form.ready)


def hear(link: socket.socket, text: bytes, times: int = 1) -> None:
    """Read until a text came so many times."""
    heard = b""
    while heard.count(text) < times:
        data = link.recv(65536)
        if not data:
            raise ConnectionError(f"the connection ended instead of {text!r}")
        heard += data


@contextmanager
def crowd(server: Server, form: Form, numbers: range, channel: str = "") -> Iterator[list[socket.socket]]:
    """Connections that are subscribed."""
    links: list[socket.socket] = []
    try:
        for at in range(0, len(numbers), 50):
            some = numbers[at : at + 50]
            new = [begin(server, form, number) for number in some]
            links += new
            enter(form, new, some, channel or form.channel)
        yield links
    finally:
        for link in links:
            link.close()


def connect_and_leave(server: Server, form: Form, count: int) -> None:
    """Connect so many, and go."""
    with crowd(server, form, range(10_000, 10_000 + count), "bench:connects"):
        pass
    time.sleep(0.3)  # for what the server does about those who are gone


def deliver(server: Server, form: Form, links: Sequence[socket.socket], count: int) -> None:
    """Publish so many texts to a crowd, which reads them."""
    side = PublishSide(
        server.publish.path,
        lambda text: json.dumps({"channel": form.channel, "data": text}),
        server.publish.headers,
    )
    marked = Server(server.name, server.command, server.port, server.subscribe, side)
    with selectors.DefaultSelector() as selector:
        for link in links:
            selector.register(link, selectors.EVENT_READ, link)
        for _ in range(count):
            publish_in_sequence(marked, 1)
            due = len(links)
            while due:
                ready = selector.select(SECONDS)
                if not ready:
                    raise TimeoutError(f"{due} deliveries are missing")
                for key, _ in ready:
                    data = key.data.recv(65536)
                    if not data:
                        raise ConnectionError("a subscriber was cut off")
                    due -= data.count(b"@@") // 2


def publish(server: Server, form: Form, count: int) -> None:
    """Let clients publish so many texts."""
    data = json.dumps("x" * PAYLOAD_BYTES)
    one = frame(form, form.publish("bench:nobody", data))
    with crowd(server, form, range(20_000, 20_000 + TALKERS), "bench:connects") as links:
        for _ in range(count // (TALKERS * IN_ONE_GO)):
            for link in links:
                for _ in range(IN_ONE_GO):
                    link.sendall(one)
            for link in links:
                hear(link, form.published, IN_ONE_GO)
