"""The endpoint of streams that are one HTTP answer: who may open one, and what their request says.

Owns no stream: from its head on each is its session's.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from urllib.parse import parse_qs

import msgspec

from messageflow.core.channels import BROADCAST
from messageflow.core.event_ids import EventId, EventIds
from messageflow.core.handshake_headers import NO_HEADERS
from messageflow.core.namespaces import Namespaces
from messageflow.core.protocol import Command, ConnectRequest, SubscribeRequest
from messageflow.gateway.front_door.admission import Admission
from messageflow.gateway.front_door.endpoint import DeafExchange, EndpointConnection, Exchange
from messageflow.gateway.front_door.head import Head
from messageflow.gateway.front_door.response import JSON, HttpResponse
from messageflow.gateway.handshake import origin_of
from messageflow.gateway.http_stream import HttpStream, StreamKind
from messageflow.gateway.proxies import Forwarded
from messageflow.hub.tickets import TicketConnect

BODY_BYTES = 65_536  # of a connect request
ALLOWED_HEADERS = b"authorization, cache-control, content-type, last-event-id"
PREFLIGHT_SECONDS = b"300"
NOT_ANY_OTHER_WAY = (
    "A token never goes into a URL, where it ends up in logs. Send it as the header Authorization: Bearer …, or make a "
    "ticket (flow.ticket), which is good once."
)


class StreamProofs:
    """What shows that somebody has had the stream of a ticket.

    Args:
        secret: the same at every node; empty: a stream comes back to its own node alone.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret or secrets.token_bytes(32)

    def prove(self, ticket: str) -> str:
        """Return the proof for a ticket, which nobody makes who has seen the ticket alone."""
        return hmac.new(self._secret, b"stream of " + ticket.encode(), "sha256").hexdigest()[:24]

    def holds(self, ticket: str, proof: str) -> bool:
        """Whether somebody has had the stream. Compared in constant time."""
        return bool(proof) and hmac.compare_digest(self.prove(ticket), proof)


class _Held(dict[str, SubscribeRequest]):
    """What a client holds of channels whose names it does not say: looked up as the server comes to each.

    Args:
        came_with: the id it brings.
        namespaces: the options of every channel.
        newest: whether it wants the newest value of channels that are a value.
    """

    def __init__(self, came_with: EventId | None, namespaces: Namespaces, *, newest: bool) -> None:
        super().__init__()
        self._came_with = came_with
        self._namespaces = namespaces
        self._newest = newest

    def get(self, channel: str, default: SubscribeRequest | None = None) -> SubscribeRequest | None:  # type: ignore[override]
        """Return what it holds of a channel."""
        if self._came_with is not None:
            if not self._came_with.is_read:
                return SubscribeRequest(recover=True, epoch="?", offset=1)  # none of ours: it cannot be resumed
            position = self._came_with.find(channel)
            if position is not None:
                return SubscribeRequest(recover=True, epoch=position.epoch, offset=position.offset, tag=position.tag)
        if self._newest and self._is_a_value(channel):
            return SubscribeRequest(recover=True)
        return default

    def _is_a_value(self, channel: str) -> bool:
        if channel.startswith("#") or channel == BROADCAST:
            return False
        options = self._namespaces.options(channel)
        return options is not None and options.force_recovery_mode == "cache"


class HttpStreamEndpoint:
    """A `front_door.endpoint.HttpEndpoint`.

    Args:
        admission: knows who may come.
        stream: what is sent.
        proofs: of streams that come back.
        high_water: bytes that wait for a peer from which on it is slow.
    """

    def __init__(self, admission: Admission, stream: StreamKind, proofs: StreamProofs, high_water: int) -> None:
        self._admission = admission
        self._stream = stream
        self._proofs = proofs
        self._high_water = high_water

    def begin(self, connection: EndpointConnection, head: Head) -> Exchange | None:
        """Answer a request: with a stream, or why there is none."""
        admission = self._admission
        peer, _ = connection.peer
        came = admission.trace(peer, head.headers, secure=admission.secure)
        refusal = self._refuse(peer, head, came)
        if refusal is not None:
            connection.keep_alive = connection.keep_alive and not connection.body_is_due
            connection.answer(refusal)
            return None
        if connection.body_is_due:
            return _Asking(self, connection, head, came)
        self.open(connection, head, came, b"")
        return None

    def _refuse(self, peer: str, head: Head, came: Forwarded) -> HttpResponse | None:
        """Return what is answered to a request that opens no stream, whoever it is from."""
        admission = self._admission
        origin = origin_of(head.headers)
        allowed = admission.answers_to(head.headers, came)
        fields = dict(head.headers)
        if allowed and (
            not admission.origins.allows(origin, came.host, came.secure)
            or (origin is None and fields.get(b"sec-fetch-site") == b"cross-site")
        ):
            admission.refuse_origin(origin, came)
            allowed = False
        if not allowed:
            status = 401 if b"ticket=" in head.target else 403
            return _explain(status, "This page's origin may not connect. Add it to allowed_origins.")
        if head.method == b"OPTIONS":
            return HttpResponse(204, [*_cors(origin), *_PREFLIGHT])
        if head.method not in (b"GET", b"POST"):
            return HttpResponse(405, [(b"allow", b"GET, POST, OPTIONS")])
        if head.length > BODY_BYTES:
            return _explain(413, f"A connect request has at most {BODY_BYTES} bytes.", origin)
        return admission.refuse_flood(peer)

    def open(self, connection: EndpointConnection, head: Head, came: Forwarded, body: bytes) -> None:
        """Make a stream of a request that is here as a whole."""
        admission = self._admission
        origin = origin_of(head.headers)
        asked = _parse_query(head.target)
        try:
            request, proof = self._read(head, asked, body)
        except ValueError as error:
            connection.keep_alive = False
            connection.answer(_explain(400, str(error), origin))
            return
        shown: Mapping[str, str] = NO_HEADERS
        if admission.hub.hooks.any:
            shown = admission.show_headers(head.headers, origin, came)
        stream = HttpStream(
            self._stream,
            came.address,
            shown,
            admission.leaving,
            ids=EventIds(proof.encode()) if self._stream.resumes else None,
            more=_cors(origin),
            high_water=self._high_water,
        )
        stream.connection_made(connection.transport)
        session = admission.enter(stream, self._stream.dialect)
        stream.begin(session)
        connection.hand_over(stream)
        if session is not None:
            session.receive_commands([Command(id=1, connect=request)], len(body))

    def _read(self, head: Head, asked: Mapping[str, str], body: bytes) -> tuple[ConnectRequest, str]:
        """Return what a request asks for, and what proves later that it was let in.

        Raises:
            ValueError: it cannot be read, or holds what no request may.
        """
        fields = dict(head.headers)
        request = _parse_connect(body or asked.get("cf_connect", "").encode())
        if "token" in asked or (request.token and not body):
            raise ValueError(NOT_ANY_OTHER_WAY)
        last = asked.get("last_event_id", "") or fields.get(b"last-event-id", b"").decode("latin-1")
        came_with = EventId(last) if last and self._stream.resumes else None
        if self._stream.resumes:
            held = _Held(came_with, self._admission.hub.namespaces, newest="newest" in asked)
            request = msgspec.structs.replace(request, subs=held)
        ticket = asked.get("ticket", "")
        if not ticket:
            scheme, _, token = fields.get(b"authorization", b"").decode("latin-1").partition(" ")
            if scheme.lower() == "bearer":
                request = msgspec.structs.replace(request, token=token.strip())
            return request, ""
        resumed = came_with is not None and self._proofs.holds(ticket, came_with.proof)
        by_ticket = TicketConnect(data=request.data, subs=request.subs, ticket=ticket, resumed=resumed)
        return by_ticket, self._proofs.prove(ticket)


class _Asking(DeafExchange):
    """A request whose body says what it asks for."""

    has_begun = False

    def __init__(
        self, endpoint: HttpStreamEndpoint, connection: EndpointConnection, head: Head, came: Forwarded
    ) -> None:
        self._endpoint, self._connection, self._head, self._came = endpoint, connection, head, came
        self._body = bytearray()

    def receive(self, content: bytes) -> None:
        self._body += content
        if len(self._body) > BODY_BYTES:
            self.has_begun = True
            self._connection.keep_alive = False
            self._connection.answer(_explain(413, f"A connect request has at most {BODY_BYTES} bytes."))

    def end(self) -> None:
        if not self._connection.is_over:
            self._endpoint.open(self._connection, self._head, self._came, bytes(self._body))


_PREFLIGHT = (
    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
    (b"access-control-allow-headers", ALLOWED_HEADERS),
    (b"access-control-max-age", PREFLIGHT_SECONDS),
)


def _cors(origin: str | None) -> list[tuple[bytes, bytes]]:
    """Return what lets a page of another origin, which may connect, read the answer."""
    if origin is None:
        return [(b"vary", b"origin")]
    return [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-allow-credentials", b"true"),
        (b"vary", b"origin"),
    ]


def _explain(status: int, text: str, origin: str | None = None) -> HttpResponse:
    return HttpResponse(status, _cors(origin), msgspec.json.encode({"error": {"code": status, "message": text}}), JSON)


def _parse_query(target: bytes) -> dict[str, str]:
    """Return the parameters of an address; of several with one name the first."""
    query = target.partition(b"?")[2].decode("latin-1")
    try:
        return {name: values[0] for name, values in parse_qs(query, keep_blank_values=True, max_num_fields=20).items()}
    except ValueError:
        return {}


def _parse_connect(data: bytes) -> ConnectRequest:
    try:
        return msgspec.json.decode(data or b"{}", type=ConnectRequest)
    except msgspec.MsgspecError as error:
        raise ValueError(f"The connect request is not one: {error}.") from None
