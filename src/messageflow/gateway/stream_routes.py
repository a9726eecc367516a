"""The table of streams over HTTP: at which path what is sent in which form, and who reads the requests.

To add one, add a line.
"""

from __future__ import annotations

from messageflow.core.gateway_paths import (
    EMULATION_PATH,
    EVENTS_PATH,
    HTTP_STREAM_PATH,
    LINES_PATH,
    SDK_EMULATION_PATH,
    SSE_PATH,
)
from messageflow.dialects.event_source import ENVELOPES, EVENT_SOURCE
from messageflow.dialects.html_stream import HTML_STREAMS
from messageflow.dialects.native import NATIVE
from messageflow.dialects.protobuf import PROTOBUF
from messageflow.dialects.unidirectional import UNIDIRECTIONAL
from messageflow.gateway.api_endpoint import ApiKey
from messageflow.gateway.cross_origin_endpoint import BINARY
from messageflow.gateway.emulation import EmulatedStreams, EmulationEndpoint
from messageflow.gateway.front_door.admission import Admission
from messageflow.gateway.front_door.endpoint import HttpEndpoint
from messageflow.gateway.front_door.http_limits import HttpLimits
from messageflow.gateway.http_stream import StreamKind, StreamTransport
from messageflow.gateway.http_stream_endpoint import HttpStreamEndpoint, Opener
from messageflow.gateway.one_way_opener import OneWayOpener, StreamProofs

EVENT_STREAM = b"text/event-stream; charset=utf-8"
JSON_LINES = b"application/x-ndjson"

EVENTS = StreamTransport("sse", b"", b"", one_way=True)  # whole events, as the dialect has them
LINES = StreamTransport("http_stream", b"", b"\n", one_way=True)
EMULATED_EVENTS = StreamTransport("sse", b"data: ", b"\n\n", one_way=False)
EMULATED_LINES = StreamTransport("http_stream", b"", b"\n", one_way=False)
EMULATED_BYTES = StreamTransport("http_stream", b"", b"", one_way=False)  # each message says how long it is


def make_streams(
    admission: Admission, key: ApiKey, limits: HttpLimits, high_water: int, *, alone: bool
) -> dict[bytes, HttpEndpoint]:
    """Return what answers at each path.

    Args:
        admission: knows who may come.
        key: of the API, which all nodes have.
        limits: of requests.
        high_water: bytes that wait for a peer from which on it is slow.
        alone: whether no application is beside the gateway, whose paths would be taken.
    """
    namespaces = admission.hub.namespaces
    proofs, emulated = StreamProofs(key.secret), EmulatedStreams(admission.hub)
    asked = {**HTML_STREAMS, "envelope": ENVELOPES}
    forms = {name: StreamKind(EVENTS, dialect, EVENT_STREAM) for name, dialect in asked.items()}
    events = OneWayOpener(proofs, namespaces, resumes=True, forms=forms)
    lines = OneWayOpener(proofs, namespaces, resumes=False)
    binary = StreamKind(EMULATED_BYTES, PROTOBUF, BINARY)
    table: dict[str, tuple[StreamKind, Opener, StreamKind | None]] = {
        EVENTS_PATH: (StreamKind(EVENTS, EVENT_SOURCE, EVENT_STREAM), events, None),
        LINES_PATH: (StreamKind(LINES, UNIDIRECTIONAL, JSON_LINES), lines, None),
        SSE_PATH: (StreamKind(EMULATED_EVENTS, NATIVE, EVENT_STREAM), emulated, None),
        HTTP_STREAM_PATH: (StreamKind(EMULATED_LINES, NATIVE, JSON_LINES), emulated, binary),
    }
    endpoints: dict[bytes, HttpEndpoint] = {
        path.encode(): HttpStreamEndpoint(admission, *what, limits, high_water) for path, what in table.items()
    }
    commands = EmulationEndpoint(admission, limits, emulated)
    return endpoints | dict.fromkeys(
        [EMULATION_PATH.encode(), *([SDK_EMULATION_PATH.encode()] if alone else [])], commands
    )
