"""Where a request really came from: what proxies say, believed only of those we were told to trust.

Each proxy adds, at the right end of a list, the peer it spoke to. So the list is read from the right, for as long as a
proxy we trust has written: the first address that is not a trusted proxy's is the client's, and everything to the left
of it the client may have made up.

Sources: RFC 7239; `X-Forwarded-*` as proxies write them.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import NamedTuple

from messageflow.gateway.hosts import names_loopback, parse_address

UNIX = "unix"  # the peer at the other end of a Unix socket, which has no address; nginx writes `unix:` for it

Headers = Sequence[tuple[bytes, bytes]]
Fields = Mapping[bytes, bytes]

_SECURE = {"https": True, "wss": True, "http": False, "ws": False}
_ELEMENT = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')
_PAIR = re.compile(r"""([!#$%&'*+.^_`|~0-9a-z-]+)=("(?:[^"\\]|\\.)*"|[^;"\s]*)""", re.IGNORECASE)
_ESCAPED = re.compile(r"\\(.)")


class Forwarded(NamedTuple):
    """Who made a request, for which host, and whether over TLS."""

    address: str
    host: str | None
    secure: bool


_COMMA = b","[0]  # bytes are looked for in a tenth of the time of a text
_tuple = tuple.__new__  # a fifth of what the class's own takes (benchmarks: connect)


class Proxies:
    """The proxies that are believed.

    Args:
        trusted: addresses and networks, each as `parse_proxy` returns it.
    """

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        self._unix = False
        self._networks: list[IPv4Network | IPv6Network] = []
        for text in trusted:
            if text == UNIX:
                self._unix = True
            else:
                self._networks.append(ip_network(text))
        self._trusts = lru_cache(maxsize=4096)(self._look_up)

        self._any = self._unix or bool(self._networks)

    def __bool__(self) -> bool:
        return self._any

    def trust(self, address: str) -> bool:
        """Whether what stands at this address is believed."""
        return self._any and self._trusts(address)

    def _look_up(self, text: str) -> bool:
        if text == UNIX:
            return self._unix
        address = parse_address(text)
        return address is not None and any(address in network for network in self._networks)


def parse_proxy(text: str) -> str:
    """Return an address or a network of proxies in one form, or `unix`.

    Raises:
        ValueError: it is none of these: a name, a pattern, or a network with an address of a host in it.
    """
    text = text.strip().lower()
    if text.removesuffix(":") == UNIX:
        return UNIX
    address, slash, length = text.removeprefix("[").replace("]", "", 1).partition("/")
    network = ip_network(address + slash + length)
    if isinstance(network, IPv6Network):
        mapped = network.network_address.ipv4_mapped
        if mapped is not None and network.prefixlen >= 96:
            network = IPv4Network((mapped, network.prefixlen - 96))
    single = network.prefixlen == network.max_prefixlen
    return str(network.network_address) if single else str(network)


def trace_forwarded(peer: str, secure: bool, fields: Fields, proxies: Proxies) -> Forwarded:
    """Return where a request came from.

    `X-Forwarded-*` and `Forwarded` are both understood. A proxy that writes one kind passes the other on as the client
    made it up, so where both are there and name different clients neither is believed about that, and the proxy itself
    counts as the client.

    Args:
        peer: the address at the other end of the socket.
        secure: whether that socket is TLS.
        fields: the headers of the request by name, in lower case; see `front_door.head.Head`.
        proxies: those that are believed.
    """
    host = fields.get(b"host")
    if host is not None and _COMMA in host:
        host = None  # of two, nobody knows which the proxy went by
    name = None if host is None else host.decode("latin-1")
    direct = _tuple(Forwarded, (_plain(peer) if ":" in peer else peer, name, secure))
    if not proxies.trust(peer):
        return direct
    found = _by_x_forwarded(direct, fields, proxies)
    standard = _by_forwarded(direct, fields, proxies)
    if found is None or standard is None:
        return found or standard or direct
    return found if found.address == standard.address else found._replace(address=direct.address)


def _by_x_forwarded(direct: Forwarded, fields: Fields, proxies: Proxies) -> Forwarded | None:
    hops, protocols, hosts = (
        _list(fields, name) for name in (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host")
    )
    if not (hops or protocols or hosts):
        return None
    address, depth = _client(direct.address, [_hop(hop) for hop in hops], proxies)

    def said(entries: list[str]) -> str:
        """What the proxy that saw the client said; of a list that does not go with the hops, what the first said."""
        return entries[-depth if len(entries) == len(hops) else 0] if entries else ""

    secure = _SECURE.get(said(protocols).lower(), direct.secure)
    return Forwarded(address, said(hosts) or direct.host, secure)


def _by_forwarded(direct: Forwarded, fields: Fields, proxies: Proxies) -> Forwarded | None:
    text = fields.get(b"forwarded", b"").decode("latin-1")
    elements = [
        {name.lower(): _unquoted(value) for name, value in _PAIR.findall(element)} for element in _ELEMENT.findall(text)
    ]
    if not elements:
        return None
    address, depth = _client(direct.address, [_hop(element.get("for", "")) for element in elements], proxies)
    outermost = elements[-depth]
    secure = _SECURE.get(outermost.get("proto", "").lower(), direct.secure)
    return Forwarded(address, outermost.get("host") or direct.host, secure)


def _client(peer: str, hops: Sequence[str | None], proxies: Proxies) -> tuple[str, int]:
    """Return the address of the client, and which entry from the right names it.

    A proxy that does not name the peer it spoke to counts as the client; where all are trusted, the leftmost does.
    """
    address, depth = peer, 0
    for hop in reversed(hops):
        depth += 1
        if hop is None:
            break
        address = hop
        if not proxies.trust(hop):
            break
    return address, depth


def _list(fields: Fields, name: bytes) -> list[str]:
    """Return the entries of a list."""
    return [entry for part in fields.get(name, b"").decode("latin-1").split(",") if (entry := part.strip())]


def _hop(entry: str) -> str | None:
    """Return the address in an entry: bare, in brackets, quoted, with a port; None where it has none."""
    text = _unquoted(entry.strip())
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    if text.lower() == UNIX:
        return UNIX
    address = parse_address(text)
    return None if address is None else str(address)


def _unquoted(text: str) -> str:
    return _ESCAPED.sub(r"\1", text[1:-1]) if len(text) > 1 and text[0] == text[-1] == '"' else text


def _plain(peer: str) -> str:
    """Return an address in one form: one client, one text."""
    address = parse_address(peer)
    return peer if address is None else str(address)


def is_local(peer: str, http_version: str, headers: Headers, proxies: Proxies) -> bool:
    """Whether a program on this machine made a request, as far as can be told, and no proxy on it passed it on.

    It came from a loopback address, for a loopback host, and bears no trace of a proxy. A proxy that leaves none and
    asks for the loopback address it was given cannot be told from a program; nginx as it is installed can, by the
    version of HTTP it speaks.
    """
    address = parse_address(peer)
    hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
    return (
        address is not None
        and address.is_loopback
        and not proxies.trust(peer)
        and http_version not in ("1.0", "0.9")
        and len(hosts) == 1
        and names_loopback(hosts[0])
        and not any(map(_is_trace, headers))
        and not _is_left_over(headers)
    )


def _is_left_over(headers: Headers) -> bool:
    """Whether `Connection: upgrade` came without an `Upgrade`: nginx, set up for WebSockets, writes it always."""
    named = any(name == b"connection" and b"upgrade" in value.lower() for name, value in headers)
    return named and not any(name == b"upgrade" for name, _ in headers)


def _is_trace(header: tuple[bytes, bytes]) -> bool:
    name = header[0]
    return name in (b"forwarded", b"via", b"x-real-ip", b"x-client-ip") or name.startswith(b"x-forwarded")
