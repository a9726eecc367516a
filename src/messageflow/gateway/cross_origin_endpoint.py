"""Base of endpoints that scripts in pages ask, of allowed origins: CORS, and a small body, whole and in time.

What they are answered is for subclasses to say. Owns the bodies until they are here.
"""

from __future__ import annotations

from urllib.parse import parse_qs

import msgspec

from messageflow.gateway.front_door.admission import Admission
from messageflow.gateway.front_door.deadlines import Deadlines
from messageflow.gateway.front_door.endpoint import DeafExchange, EndpointConnection, Exchange
from messageflow.gateway.front_door.head import Head
from messageflow.gateway.front_door.http_limits import HttpLimits
from messageflow.gateway.front_door.response import JSON, HttpResponse
from messageflow.gateway.handshake import origin_of
from messageflow.gateway.proxies import Forwarded

BODY_BYTES = 65_536  # as official SDKs expect it
BINARY = b"application/octet-stream"
HEADERS = b"authorization, cache-control, content-type, last-event-id"
HEADERS_OF_LIBRARIES = b"datastar-request, hx-current-url, hx-request, hx-request-type, hx-source, hx-target"
PREFLIGHT = (
    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
    (b"access-control-allow-headers", b"%b, %b" % (HEADERS, HEADERS_OF_LIBRARIES)),
    (b"access-control-max-age", b"300"),
)


class CrossOriginEndpoint:
    """A `front_door.endpoint.HttpEndpoint` for pages of allowed origins, and for programs.

    Args:
        admission: knows who may come.
        limits: of requests.
        methods: that make sense here.
    """

    def __init__(self, admission: Admission, limits: HttpLimits, methods: tuple[bytes, ...]) -> None:
        self.admission = admission
        self._methods = methods
        self.late_bodies: Deadlines[_Body] = Deadlines(limits.body_timeout, _Body.end_late)

    def answer(self, connection: EndpointConnection, head: Head, came: Forwarded, body: bytes) -> Exchange | None:
        """Answer a request that is here as a whole; what goes on answering it is returned."""
        raise NotImplementedError

    def begin(self, connection: EndpointConnection, head: Head) -> Exchange | None:
        """Answer a request, or take its body first."""
        admission = self.admission
        peer, _ = connection.peer
        came = admission.trace(peer, head.fields, secure=admission.secure)
        refusal = self._refuse(head, came) or self.refuse_more(peer)
        if refusal is not None:
            connection.keep_alive = connection.keep_alive and not connection.body_is_due
            connection.answer(refusal)
            return None
        if connection.body_is_due:
            return _Body(self, connection, head, came)
        return self.answer(connection, head, came, b"")

    def refuse_more(self, peer: str) -> HttpResponse | None:
        """Return what is answered for another reason than the page; None where there is none."""
        return None

    def _refuse(self, head: Head, came: Forwarded) -> HttpResponse | None:
        """Return what is answered to who may not ask, or asks whether they may."""
        origin, fields = origin_of(head.fields), dict(head.headers)
        allowed = self.admission.answers_to(head.fields, came)
        elsewhere = (
            origin is None and fields.get(b"sec-fetch-site") == b"cross-site"
        )  # what says no Origin is no page's
        if allowed and (elsewhere or not self.admission.origins.allows(origin, came.host, came.secure)):
            self.admission.refuse_origin(origin, came)
            allowed = False
        if not allowed:
            status = 401 if b"ticket=" in head.target else 403
            return explain(status, "This page's origin may not connect. Add it to allowed_origins.")
        if head.method == b"OPTIONS":
            return HttpResponse(204, [*cors(origin), *PREFLIGHT])
        if head.method not in self._methods:
            return HttpResponse(405, [(b"allow", b", ".join((*self._methods, b"OPTIONS"))), *cors(origin)])
        return too_large(origin) if head.length > BODY_BYTES else None


class _Body(DeafExchange):
    """A request whose body is on its way."""

    def __init__(
        self, endpoint: CrossOriginEndpoint, connection: EndpointConnection, head: Head, came: Forwarded
    ) -> None:
        self.has_begun = False
        self._endpoint, self._connection, self._head, self._came = endpoint, connection, head, came
        self._body = bytearray()
        endpoint.late_bodies.add(self)

    def receive(self, content: bytes) -> None:
        self._body += content
        if len(self._body) > BODY_BYTES and not self.has_begun:
            self._refuse(too_large(origin_of(self._head.fields)))

    def end(self) -> None:
        self._endpoint.late_bodies.discard(self)
        if not self.has_begun:
            self.has_begun = True
            self._endpoint.answer(self._connection, self._head, self._came, bytes(self._body))

    def end_late(self) -> None:
        """Refuse a body that takes too long."""
        self._refuse(explain(408, "The body did not arrive in time.", origin_of(self._head.fields)))

    def lost(self, exc: Exception | None) -> None:
        self._endpoint.late_bodies.discard(self)

    def _refuse(self, response: HttpResponse) -> None:
        self._endpoint.late_bodies.discard(self)
        self.has_begun = True
        self._connection.keep_alive = False
        self._connection.answer(response)


def is_binary(head: Head) -> bool:
    """Whether the body of a request is bytes of no kind that its sender has a name for."""
    return head.fields.get(b"content-type") == BINARY


def too_large(origin: str | None) -> HttpResponse:
    """Return what is answered to a body over the limit."""
    return explain(413, f"The body has more than {BODY_BYTES} bytes.", origin)


def cors(origin: str | None) -> list[tuple[bytes, bytes]]:
    """Return what lets a page of another origin, which may connect, read the answer."""
    if origin is None:
        return [(b"vary", b"origin")]
    return [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-allow-credentials", b"true"),
        (b"vary", b"origin"),
    ]


def explain(status: int, text: str, origin: str | None = None) -> HttpResponse:
    """Return a refusal that says what to do."""
    return HttpResponse(status, cors(origin), msgspec.json.encode({"error": {"code": status, "message": text}}), JSON)


def parse_query(target: bytes) -> dict[str, str]:
    """Return the parameters of an address; of several with one name the first."""
    query = target.partition(b"?")[2].decode("latin-1")
    try:
        return {name: values[0] for name, values in parse_qs(query, keep_blank_values=True, max_num_fields=20).items()}
    except ValueError:
        return {}
