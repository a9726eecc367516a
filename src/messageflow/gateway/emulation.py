"""Streams whose clients send commands by requests of their own: a WebSocket in two halves, where none gets through.

A request may arrive at any worker or node. So a stream has a name that only its client knows, and whoever is asked for
it asks all others. Owns the names of the streams of one worker.

Source: docs/protocol.md, "Without a WebSocket".
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Mapping
from functools import partial

import msgspec

from messageflow.dialects.protobuf import read_emulated
from messageflow.errors import BrokerError
from messageflow.gateway.cross_origin_endpoint import CrossOriginEndpoint, cors, explain, is_binary
from messageflow.gateway.front_door.admission import Admission
from messageflow.gateway.front_door.endpoint import EndpointConnection, Exchange
from messageflow.gateway.front_door.head import Head
from messageflow.gateway.front_door.http_limits import HttpLimits
from messageflow.gateway.front_door.response import HttpResponse
from messageflow.gateway.handshake import origin_of
from messageflow.gateway.http_stream import HttpStream
from messageflow.gateway.http_stream_endpoint import Opening
from messageflow.gateway.proxies import Forwarded
from messageflow.hub.connection import WayBack
from messageflow.hub.hub import Hub
from messageflow.hub.session import Session

QUESTION = b"emulation"
HERE = b"1"  # the answer of who has the stream
FORWARDED_AT_ONCE = 256  # since anybody may ask for what nobody has


class Sent(msgspec.Struct, frozen=True):
    """A request with commands.

    Args:
        session: the name of the stream.
        node: whose it is, as its client was told.
        data: one message of the dialect.
    """

    session: str
    node: str
    data: str


def _read_sent(body: bytes) -> tuple[str, str, bytes]:
    sent = msgspec.json.decode(body, type=Sent)
    return sent.session, sent.node, sent.data.encode()


def _mark(node: str) -> str:
    """Return what the names of a node's streams begin with, by which whoever is asked sees that a node is forged."""
    return hashlib.blake2s(node.encode(errors="replace"), digest_size=4).hexdigest()


class EmulatedStreams:
    """The streams of one worker, by their names. A `http_stream_endpoint.Opener`.

    Args:
        hub: whose sessions they are.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._streams: dict[str, HttpStream] = {}
        hub.answers[QUESTION] = self._answer

    def prepare(self, head: Head, asked: Mapping[str, str], body: bytes) -> Opening:
        """Read a request: its body, or the parameter `cf_connect`, is the first message.

        Raises:
            ValueError: there is none.
        """
        message = body or asked.get("cf_connect", "").encode()
        if not message:
            raise ValueError("The request has no command: send connect as its body, or as the parameter cf_connect.")
        name = _mark(self._hub.name) + secrets.token_urlsafe(16)

        def begin(session: Session) -> None:
            session.receive(message)

        return Opening(
            begin,
            way_back=WayBack(name, self._hub.name),
            enter=partial(self._streams.__setitem__, name),
            leave=partial(self._forget, name),
        )

    def _forget(self, name: str) -> None:
        self._streams.pop(name, None)

    def deliver(self, name: str, message: bytes) -> bool:
        """Hand a message to a stream of this worker. Returns False where it has none of that name."""
        stream = self._streams.get(name)
        if stream is None:
            return False
        stream.receive(message)
        return True

    async def forward(self, name: str, message: bytes) -> bool:
        """Hand a message to a stream of another worker or node. Returns False where none has it.

        Raises:
            BrokerError: they cannot be asked.
        """
        question = b"%b\n%b\n%b" % (QUESTION, name.encode(), message)
        return HERE in await self._hub.broker.survey(question)

    def _answer(self, question: bytes) -> bytes:
        name, _, message = question.partition(b"\n")
        return HERE if self.deliver(name.decode(), message) else b""


class EmulationEndpoint(CrossOriginEndpoint):
    """Takes the commands.

    Args:
        admission: knows which pages may come.
        limits: of requests.
        streams: those of this worker.
    """

    def __init__(self, admission: Admission, limits: HttpLimits, streams: EmulatedStreams) -> None:
        super().__init__(admission, limits, (b"POST",))
        self._streams = streams
        self._forwarding = 0

    def answer(self, connection: EndpointConnection, head: Head, came: Forwarded, body: bytes) -> Exchange | None:
        """Hand the commands on."""
        origin = origin_of(head.fields)
        try:
            name, node, message = read_emulated(body) if is_binary(head) else _read_sent(body)
        except (msgspec.MsgspecError, ValueError) as error:
            connection.answer(explain(400, f"The body is no {{session, node, data}}: {error}.", origin))
            return None
        if not name.startswith(_mark(node)):
            connection.answer(explain(404, "This node has no such session. Say both as connect told them.", origin))
            return None
        if self._streams.deliver(name, message):
            connection.answer(HttpResponse(204, cors(origin)))
            return None
        if self._forwarding >= FORWARDED_AT_ONCE:
            self.admission.hub.log_limited(logging.WARNING, "too_many_forwarded", address=came.address)
            connection.answer(explain(503, "Too many commands are on their way to other nodes. Try again.", origin))
            return None
        self._forwarding += 1
        connection.run(self._forward(connection, name, message, origin))
        return None

    async def _forward(self, connection: EndpointConnection, name: str, message: bytes, origin: str | None) -> None:
        try:
            found = "\n" not in name and await self._streams.forward(name, message)
        except BrokerError as error:
            answer = explain(503, f"The other nodes cannot be asked: {error}", origin)
        else:
            gone = explain(404, "No stream has this session: it has ended. Connect anew.", origin)
            answer = HttpResponse(204, cors(origin)) if found else gone
        finally:
            self._forwarding -= 1
        if not connection.is_over:
            connection.answer(answer)
