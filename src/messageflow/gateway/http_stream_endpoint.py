"""The endpoint of streams that are one HTTP answer.

What the request asks for is its opener's to read. Owns no stream: from its head on each is its session's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from messageflow.core.event_ids import EventIds
from messageflow.gateway.cross_origin_endpoint import CrossOriginEndpoint, cors, explain, is_binary, parse_query
from messageflow.gateway.front_door.admission import Admission
from messageflow.gateway.front_door.endpoint import EndpointConnection, Exchange
from messageflow.gateway.front_door.head import Head
from messageflow.gateway.front_door.http_limits import HttpLimits
from messageflow.gateway.front_door.response import HttpResponse
from messageflow.gateway.handshake import origin_of
from messageflow.gateway.http_stream import HttpStream, StreamKind
from messageflow.gateway.proxies import Forwarded
from messageflow.hub.connection import WayBack
from messageflow.hub.session import Session


class Opening(NamedTuple):
    """What a request asks for.

    Args:
        begin: gives the session what it says.
        stream: what is sent; None: what the endpoint sends else.
        ids: completes the ids of events; None where they have none.
        way_back: where the client sends its commands; None where it has none.
        enter: is given the stream before its session begins.
        leave: called once the stream is gone.
    """

    begin: Callable[[Session], None]
    stream: StreamKind | None = None
    ids: EventIds | None = None
    way_back: WayBack | None = None
    enter: Callable[[HttpStream], None] | None = None
    leave: Callable[[], None] | None = None


class Opener(Protocol):
    """What reads requests for one kind of stream."""

    def prepare(self, head: Head, asked: Mapping[str, str], body: bytes) -> Opening:
        """Read a request that is here as a whole.

        Args:
            head: of the request.
            asked: the parameters of its address.
            body: empty where there is none.

        Raises:
            ValueError: it cannot be read, or holds what no request may; the text says what to do.
        """


class HttpStreamEndpoint(CrossOriginEndpoint):
    """A `front_door.endpoint.HttpEndpoint`.

    Args:
        admission: knows who may come.
        stream: what is sent, unless the opener says otherwise.
        opener: reads requests.
        binary: what is sent instead to who says that their request is bytes; None: the same.
        limits: of requests.
        high_water: bytes that wait for a peer from which on it is slow.
    """

    def __init__(
        self,
        admission: Admission,
        stream: StreamKind,
        opener: Opener,
        binary: StreamKind | None,
        limits: HttpLimits,
        high_water: int,
    ) -> None:
        super().__init__(admission, limits, (b"GET", b"POST"))
        self._stream = stream
        self._opener = opener
        self._binary = binary
        self._high_water = high_water

    def refuse_more(self, peer: str) -> HttpResponse | None:
        """Return what is answered while there is no room."""
        return self.admission.refuse_flood(peer)

    def answer(self, connection: EndpointConnection, head: Head, came: Forwarded, body: bytes) -> Exchange | None:
        """Make a stream of a request."""
        admission = self.admission
        origin = origin_of(head.fields)
        try:
            opening = self._opener.prepare(head, parse_query(head.target), body)
        except ValueError as error:
            connection.keep_alive = False
            connection.answer(explain(400, str(error), origin))
            return None
        otherwise = self._binary if self._binary is not None and is_binary(head) else self._stream
        kind = opening.stream or otherwise
        stream = HttpStream(
            kind,
            came.address,
            admission.show_headers(head.headers, origin, came),
            admission.leaving,
            ids=opening.ids,
            way_back=opening.way_back,
            on_lost=opening.leave,
            more=cors(origin),
            high_water=self._high_water,
        )
        stream.connection_made(connection.transport)
        if opening.enter is not None:
            opening.enter(stream)
        session = admission.enter(stream, kind.dialect)
        stream.begin(session)
        connection.hand_over(stream)
        if session is not None:
            opening.begin(session)
        return None
