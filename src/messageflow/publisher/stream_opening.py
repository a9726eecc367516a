"""How a program comes to the event stream of a gateway: with a token in a header, from where it was.

Owns no stream: it is whoever asked's.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlencode

from messageflow.client_io.http1 import parse_url
from messageflow.client_io.streamed_answer import StreamedAnswer as StreamedAnswer
from messageflow.client_io.streamed_answer import open_answer
from messageflow.core.gateway_paths import EVENTS_PATH
from messageflow.errors import ConfigurationError
from messageflow.publisher.redis_target import is_redis

NOTHING: Mapping[str, str] = MappingProxyType({})
SECONDS = 10.0  # to be answered in
OVER_REDIS = (
    "an event stream comes from a gateway, and Redis has none: give the address of a gateway in MESSAGEFLOW_URL"
)


async def open_events(
    url: str, token: str, last_event_id: str = "", asked: Mapping[str, str] = NOTHING
) -> StreamedAnswer:
    """Ask for what a user hears, and return the answer once its head is here. Cancelled, it has left nothing open.

    Args:
        url: of the gateway.
        token: of the user.
        last_event_id: of the event after which to go on; empty to begin now.
        asked: parameters of its address, such as `newest`.

    Raises:
        OSError: there is no gateway, or what answers is none.
        ConfigurationError: that is no address of a gateway.
    """
    if is_redis(url):
        raise ConfigurationError(OVER_REDIS)
    headers = [("Authorization", f"Bearer {token}"), ("Accept", "text/event-stream")]
    if last_event_id:  # what no header can hold is none of ours, and neither is this
        is_one = last_event_id.isascii() and last_event_id.isprintable()
        headers.append(("Last-Event-ID", last_event_id if is_one else "?"))
    query = f"?{urlencode(asked)}" if asked else ""
    return await open_answer(parse_url(url), EVENTS_PATH + query, headers, SECONDS)
