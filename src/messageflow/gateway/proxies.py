"""Where a request really came from: what proxies say, believed only of those we were told to trust.

Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple


class Forwarded(NamedTuple):
    """Who made a request, for which host, and whether over TLS.

    `direct` tells that no proxy stands between, as far as the headers show.
    """

    address: str
    host: str | None
    secure: bool
    direct: bool


def forwarded(peer: str, secure: bool, headers: Sequence[tuple[bytes, bytes]], trusted: Collection[str]) -> Forwarded:
    """Return where a request came from.

    Args:
        peer: the address at the other end of the socket.
        secure: whether that socket is TLS.
        headers: of the request, names in lower case.
        trusted: addresses of proxies that are believed.
    """
    values: dict[bytes, str] = {}
    direct = True
    for name, value in headers:
        if name == b"host" or name.startswith(b"x-forwarded-") or name == b"forwarded":
            values[name] = value.decode("latin-1")
            direct = direct and name == b"host"
    host = values.get(b"host")
    if peer not in trusted:
        return Forwarded(peer, host, secure, direct)
    proto = values.get(b"x-forwarded-proto", "")
    chain = [part.strip() for part in values.get(b"x-forwarded-for", "").split(",") if part.strip()]
    address = next((hop for hop in reversed(chain) if hop not in trusted), peer)
    return Forwarded(address, values.get(b"x-forwarded-host", host), proto == "https" if proto else secure, direct)
