"""Which pages may open a connection: the Origin a browser sends, against a list of exact origins.

A WebSocket is not bound by the same-origin policy: any page on the web can open one to us, with the visitor's cookies
and from inside the visitor's network. The Origin header is the one thing about it that a page cannot forge, so it is
compared whole, scheme, host and port, never as a pattern, a prefix or a suffix.

Pure: strings in, a decision out. Refusing (HTTP 403) and logging are the caller's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from messageflow.errors import ConfigurationError
from messageflow.gateway.hosts import AUTHORITY, canonical_host, is_loopback, split_host

ANY = "*"

_DEFAULT_PORTS = {"http": "80", "https": "443"}
# RFC 6454 §6.2, with the port written out or left out. A name with a trailing dot is another origin to a browser.
_ORIGIN = re.compile(rf"(?P<scheme>[a-z][a-z0-9+.-]*)://{AUTHORITY}")


class Origins:
    """The origins that are allowed.

    Args:
        allowed: exact origins such as `https://app.example.com` or `http://localhost:3000`; `*` allows every origin but
            `null`. Empty: the origin of the gateway itself, as the Host header names it.
        require_origin: refuse a request without an Origin, which no browser sends for a WebSocket.
        dev: whether this gateway is for one machine, so that it answers to no name but this machine's.

    Raises:
        ConfigurationError: an entry is not an origin; the message shows it and says what one looks like.
    """

    def __init__(self, allowed: Sequence[str] = (), *, require_origin: bool = False, dev: bool = False) -> None:
        self.any = ANY in allowed
        self.require_origin = require_origin
        self.dev = dev
        self._exact = frozenset(_entry(text) for text in allowed if text != ANY)
        self._hosts = frozenset(_host_of(origin) for origin in self._exact)

    def allows(self, origin: str | None, host: str | None, secure: bool) -> bool:
        """Decide about one request.

        Args:
            origin: its Origin header, None where it has none.
            host: its Host header, or what a trusted proxy says it was.
            secure: whether it came over TLS, to us or to a trusted proxy.
        """
        if origin is None:
            return not self.require_origin
        normal = normalised(origin)
        if normal is None:
            return False
        if self.any or normal in self._exact:
            return True
        return not self._exact and normal == _own(host, secure)

    def answer_to(self, host: str | None) -> bool:
        """Whether a request for this host is ours to answer.

        A page on a name that somebody pointed at this machine asks for that name, and its browser takes our answers
        for those of the page's own site (DNS rebinding). In development, where all that happens on this machine is
        trusted, only names of this machine are answered to, and those of origins that are allowed.
        """
        if not self.dev or self.any:
            return True
        found = split_host(host)
        return found is not None and (is_loopback(found[0]) or found[0] in self._hosts)


def normalised(origin: str) -> str | None:
    """Return an origin in lower case without its scheme's default port; None where it is none, as `null` is none."""
    match = _ORIGIN.fullmatch(origin.lower()) if origin.isascii() else None
    host = None if match is None else canonical_host(match["host"])
    return None if match is None or host is None else _written(match["scheme"], host, match["port"])


def parse_entry(text: str) -> str | None:
    """Return the origin of an entry of a list of origins, None where no page could ever have it."""
    origin = normalised(text)  # a page's origin is http or https, whatever it opens
    return None if origin is None or origin.startswith(("ws:", "wss:")) or _host_of(origin).endswith(".") else origin


def _own(host: str | None, secure: bool) -> str | None:
    found = split_host(host)
    return None if found is None else _written("https" if secure else "http", *found)


def _host_of(origin: str) -> str:
    match = _ORIGIN.fullmatch(origin)
    return "" if match is None else match["host"]


def _written(scheme: str, host: str, port: str | None) -> str | None:
    if port is None or port == _DEFAULT_PORTS.get(scheme):
        return f"{scheme}://{host}"
    number = int(port)
    return f"{scheme}://{host}:{number}" if str(number) == port and 0 < number < 65_536 else None


def _entry(text: str) -> str:
    origin = parse_entry(text)
    if origin is None:
        raise ConfigurationError(
            f"the allowed origin {text!r} is not an origin: write scheme, host and, if need be, port, as in "
            "https://app.example.com or http://localhost:3000; no path, no user, no pattern; an international "
            "name in its xn-- form; or * alone for every origin"
        )
    return origin
