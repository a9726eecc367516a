"""Which dialect a client speaks: by the path it connects to, and there by the subprotocol it asks for.

The one place where dialects are listed. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from messageflow.core.gateway_paths import (
    EVENTS_PATH,
    HTTP_STREAM_PATH,
    LINES_PATH,
    MESSAGES_PATH,
    SSE_PATH,
    WEBSOCKET_PATH,
)
from messageflow.dialects.base import Dialect
from messageflow.dialects.classic import GENERATIONS
from messageflow.dialects.event_source import EVENT_SOURCE
from messageflow.dialects.native import NATIVE
from messageflow.dialects.protobuf import PROTOBUF
from messageflow.dialects.unidirectional import UNIDIRECTIONAL


class Spoken(NamedTuple):
    """A dialect and where it is spoken.

    Args:
        path: of the address that clients connect to.
        subprotocol: the name they ask for it by; a client that asks for none gets the first of the path.
        dialect: the language.
        format: the name by which the query of the address asks for it; empty: by none.
    """

    path: str
    subprotocol: str
    dialect: Dialect
    format: str = ""


DIALECTS = (
    Spoken(WEBSOCKET_PATH, "centrifuge-json", NATIVE),
    Spoken(WEBSOCKET_PATH, "centrifuge-protobuf", PROTOBUF, format="protobuf"),
    Spoken(EVENTS_PATH, "", EVENT_SOURCE),
    Spoken(LINES_PATH, "", UNIDIRECTIONAL),
    Spoken(MESSAGES_PATH, "", UNIDIRECTIONAL),
    Spoken(HTTP_STREAM_PATH, "", NATIVE),
    Spoken(SSE_PATH, "", NATIVE),
)
CLASSIC = GENERATIONS  # at `CLASSIC_PATH`, the one that the setting `classic` names


def choose(path: str, offered: Sequence[str], wanted: str = "") -> Spoken | None:
    """Return what is spoken with a client, None where it offers only what is not spoken there.

    Args:
        path: that it connects to.
        offered: the subprotocols it asks for, the dearest first; none is any.
        wanted: the format that it asks for besides, which is spoken then whatever the subprotocol is called.
    """
    here = [each for each in DIALECTS if each.path == path]
    named = here if not offered else [each for name in offered for each in here if each.subprotocol == name]
    if not named or not wanted:
        return named[0] if named else None
    return named[0]._replace(dialect=next((each.dialect for each in here if each.format == wanted), named[0].dialect))
