"""What the log says of a connection that is refused before there is one.

A browser tells neither its page nor its person why a handshake failed. So each refusal is a line, limited in its rate,
that names who asked for what and the one option that would let it in.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from messageflow.gateway.open_files import WAY_OUT

if TYPE_CHECKING:
    from messageflow.gateway.origins import Origins
    from messageflow.gateway.proxies import Forwarded
    from messageflow.hub.hub import Hub

LONGEST = 200  # characters of what a client sent
UPGRADE = (
    "none: a proxy in front has to pass the upgrade on, as nginx does with proxy_http_version 1.1; "
    "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade"
)
CLIENT = "none: it is for the client, or for a proxy in front, to send another request"


def log_origin(hub: Hub, origins: Origins, origin: str | None, came: Forwarded) -> None:
    """Say that a page, or any page on a name that leads here, may not connect."""
    hub.log_limited(
        logging.WARNING,
        "origin_refused",
        origin=_short(origin),
        host=_short(came.host),
        address=came.address,
        option=origins.remedy(origin, came.host, came.secure),
    )


def log_not_upgraded(hub: Hub, address: str, host: str | None) -> None:
    """Say that somebody asked for the address of WebSockets and for no WebSocket."""
    hub.log_limited(logging.WARNING, "not_upgraded", address=address, host=_short(host), option=UPGRADE)


def log_bad_upgrade(hub: Hub, reason: str, came: Forwarded) -> None:
    """Say that a handshake is none, as the response to it puts it."""
    host, address = _short(came.host), came.address
    hub.log_limited(logging.WARNING, "bad_upgrade", address=address, host=host, reason=_short(reason), option=CLIENT)


def log_full(hub: Hub, address: str, limit: int) -> None:
    """Say that no more connections are taken, since there are as many as may be or since the gateway ends."""
    if hub.draining:
        hub.log_limited(logging.INFO, "refused_draining", address=address)
    else:
        option = f"--connections-limit, more than {limit}"
        hub.log_limited(logging.WARNING, "refused_full", address=address, option=option)


def log_files(hub: Hub, address: str, limit: int) -> None:
    """Say that no more connections are taken, since each takes one of the open files."""
    hub.log_limited(logging.WARNING, "refused_files", address=address, limit=limit, option=WAY_OUT)


def log_crowd(hub: Hub, limit: int, *, refused: bool) -> None:
    """Say that there are so many HTTP connections that one was ended, or not let in."""
    done = "refused" if refused else "ended while it waited for its peer"
    hub.log_limited(logging.WARNING, "http_crowded", done=done, limit=limit, option=WAY_OUT)


def log_busy(hub: Hub, address: str, limit: int) -> None:
    """Say that more connections are coming in than may at once."""
    option = f"--arrivals-limit, more than {limit}"
    hub.log_limited(logging.WARNING, "refused_busy", address=address, option=option)


def _short(text: str | None) -> str:
    return "" if text is None else text[:LONGEST]
