"""Which pages may open a connection: the Origin a browser sends, against the gateway's own and a list.

A WebSocket is not bound by the same-origin policy: any page on the web can open one to us, with the visitor's cookies
and from inside the visitor's network. The Origin header is the one thing about it that a page cannot forge, so it is
compared whole, scheme, host and port. An entry may leave open the first labels of the name, whole labels and nothing
else: `https://*.example.com` is every name below example.com, and neither example.com nor evil-example.com.

Pure: strings in, a decision out. Refusing (HTTP 403) and logging are the caller's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from messageflow.errors import ConfigurationError
from messageflow.gateway.hosts import AUTHORITY, canonicalize_host, is_loopback, split_host

ANY = "*"
PAGES = ("http", "https")  # schemes of pages that come from a server

_BELOW = "://*."
_PRIVATE = frozenset({"internal", "localhost", "test"})  # top levels that nobody can register (RFC 6761, ICANN)
_HOPELESS = "none: no browser asks like this"
_HOPELESS_NULL = "none: the page is a file or a sandboxed frame; let a server send it"
_DEFAULT_PORTS = {"http": "80", "https": "443"}
# RFC 6454 §6.2, with the port written out or left out. A name with a trailing dot is another origin to a browser.
_ORIGIN = re.compile(rf"(?P<scheme>[a-z][a-z0-9+.-]*)://{AUTHORITY}")


class Origins:
    """The origins that are allowed: that of the gateway itself, as the Host header names it, and those listed.

    Args:
        allowed: origins such as `https://app.example.com` or `http://localhost:3000`; `https://*.example.com` for every
            name below; `*` allows every origin but `null`.
        require_origin: refuse a request without an Origin, which no browser sends for a WebSocket.
        dev: whether this gateway is for one machine: it lets in pages of any port of this machine, and answers to no
            name but this machine's.

    Raises:
        ConfigurationError: an entry is not an origin; the message shows it and says what one looks like.
    """

    def __init__(self, allowed: Sequence[str] = (), *, require_origin: bool = False, dev: bool = False) -> None:
        self.any = ANY in allowed
        self.require_origin = require_origin
        self.dev = dev
        entries = [_entry(text) for text in allowed if text != ANY]
        self._exact = frozenset(entry for entry in entries if _BELOW not in entry)
        self._hosts = frozenset(_host_of(origin) for origin in self._exact)
        self._below = tuple(_Below.of(entry) for entry in entries if _BELOW in entry)

    def allows(self, origin: str | None, host: str | None, secure: bool) -> bool:
        """Decide about one request.

        Args:
            origin: its Origin header, None where it has none.
            host: its Host header, or what a trusted proxy says it was.
            secure: whether it came over TLS, to us or to a trusted proxy.
        """
        if origin is None:
            return not self.require_origin
        normal = normalize_origin(origin)
        if normal is None:
            return False
        if self.any or normal in self._exact or normal == _own(host, secure):
            return True
        return any(each.has(normal) for each in self._below) or (self.dev and _is_local_page(normal))

    def is_own(self, origin: str, host: str | None, secure: bool) -> bool:
        """Whether it is the gateway's own origin, and not another that may connect. Arguments as in `allows`."""
        own = _own(host, secure)
        return own is not None and normalize_origin(origin) == own

    def answer_to(self, host: str | None) -> bool:
        """Whether a request for this host is ours to answer.

        A page on a name that somebody pointed at this machine asks for that name, and its browser takes our answers
        for those of the page's own site (DNS rebinding). In development, where all that happens on this machine is
        trusted, only names of this machine are answered to, and those of origins that are allowed.
        """
        if not self.dev or self.any:
            return True
        found = split_host(host)
        return found is not None and (is_loopback(found[0]) or self._lists(found[0]))

    def remedy(self, origin: str | None, host: str | None, secure: bool) -> str:
        """Return the option that would let a refused request in, or why none does. Arguments as in `allows`."""
        wanted = []
        if not self.allows(origin, host, secure):
            if origin is None:
                return "--no-require-origin"
            if (page := parse_entry(origin)) is None:
                return _HOPELESS_NULL if origin == "null" else _HOPELESS
            wanted.append(page)
        if not self.answer_to(host):
            asked = parse_entry(_own(host, secure) or "")
            if asked is None:
                return _HOPELESS
            if _host_of(asked) not in map(_host_of, wanted):
                wanted.append(asked)
        return f"--allowed-origins {','.join(wanted)}"

    def _lists(self, host: str) -> bool:
        return host in self._hosts or any(each.has_host(host) for each in self._below)


class _Below(NamedTuple):
    """Every name below one: its scheme and what the host ends with, then the port."""

    start: str
    end: str
    port: str

    @classmethod
    def of(cls, entry: str) -> _Below:
        scheme, _, rest = entry.partition(_BELOW)
        host, colon, port = rest.partition(":")
        return cls(f"{scheme}://", f".{host}", colon + port)

    def has(self, origin: str) -> bool:
        """Whether this is one of the origins; an origin has no empty label, so what the star stands for is whole."""
        start, end = self.start, self.end + self.port
        return origin.startswith(start) and origin.endswith(end) and len(origin) > len(start) + len(end)

    def has_host(self, host: str) -> bool:
        return host.endswith(self.end) and len(host) > len(self.end)


def normalize_origin(origin: str) -> str | None:
    """Return an origin in lower case without its scheme's default port; None where it is none, as `null` is none."""
    match = _ORIGIN.fullmatch(origin.lower()) if origin.isascii() else None
    host = None if match is None else canonicalize_host(match["host"])
    return None if match is None or host is None else _written(match["scheme"], host, match["port"])


def parse_entry(text: str) -> str | None:
    """Return an entry of a list of origins as browsers write one, None where no page could ever have it."""
    if _BELOW in text:
        above = parse_entry(text.replace(_BELOW, "://", 1))
        return above.replace("://", _BELOW, 1) if above is not None and _may_be_open(_host_of(above)) else None
    origin = normalize_origin(text)  # a page's origin is http or https, whatever it opens
    return None if origin is None or origin.startswith(("ws:", "wss:")) or _host_of(origin).endswith(".") else origin


def _may_be_open(host: str) -> bool:
    """Whether the names below this one can be one party's: not those of a top level, and an address has none."""
    *above, last = host.split(".")
    return (bool(above) or last in _PRIVATE) and not (last.isdigit() or "[" in host)


def _is_local_page(origin: str) -> bool:
    """Whether it is of a page that some server of this machine has sent, by a name or address nobody else can have."""
    return origin.partition("://")[0] in PAGES and is_loopback(_host_of(origin))


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
            "https://app.example.com or http://localhost:3000, or https://*.example.com for every name below; no path, "
            "no user, no other pattern; an international name in its xn-- form; or * alone for every origin"
        )
    return origin
