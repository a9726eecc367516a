"""The paths of a gateway that others must know: where browsers connect, and the prefix of all that is its own.

The gateway keeps them free beside an application (`gateway.paths`), the publisher calls there (`client_io.http1`), the
command line connects there (`cli.subscriber`), pages load the client from there: all read them here.
"""

from __future__ import annotations

import re

WEBSOCKET_PATH = "/connection/websocket"  # as Centrifugo has it, which the official SDKs expect
CLASSIC_PATH = "/websocket"  # where the browsers of message_flow, cesium_web and baselayer connect, where it is on
SCRIPT_PATH = "/messageflow.js"  # the browser client
EVENTS_PATH = "/connection/uni_sse"
LINES_PATH = "/connection/uni_http_stream"
MESSAGES_PATH = "/connection/uni_websocket"
HTTP_STREAM_PATH = "/connection/http_stream"
SSE_PATH = "/connection/sse"
EMULATION_PATH = "/connection/emulation"  # where clients of the two before send their commands
SDK_EMULATION_PATH = "/emulation"  # the same where official SDKs look, unless an application has that path
BASE_PATH = "/messageflow/"
# What needs no percent-encoding (RFC 3986 §2.3), so that it is written in one way; no segment of dots alone.
_SEGMENTS = re.compile(r"/(?:(?!\.{1,2}/)[A-Za-z0-9._~-]+/)+")


def parse_base_path(text: str) -> str:
    """Return a base path as it is compared: with a slash at both ends, which may be left out.

    Raises:
        ValueError: it is none.
    """
    path = f"/{text.strip().strip('/')}/"
    if _SEGMENTS.fullmatch(path) is None:
        raise ValueError("not a base path")
    return path
