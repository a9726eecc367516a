"""Hosts as browsers write them in a Host header and in an origin: names and addresses in one form each.

An address has many spellings and means one machine, so what is compared is never the text that came.

Pure.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

LONGEST_ADDRESS = 64  # characters; what is longer is none, and not worth keeping

# RFC 3986 §3.2.2, of which browsers send names in ASCII (IDNs as punycode), IPv4, and IPv6 in brackets.
AUTHORITY = (
    r"(?P<host>[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
_HOST_HEADER = re.compile(AUTHORITY + ":?")


def split_host(header: str | None) -> tuple[str, str | None] | None:
    """Return host and port of a Host header in one form, the port None where it has none; None where it is none."""
    match = _HOST_HEADER.fullmatch(header.lower()) if header is not None and header.isascii() else None
    host = None if match is None else canonicalize_host(match["host"])
    return None if match is None or host is None else (host, match["port"])


def canonicalize_host(host: str) -> str | None:
    """Return a host in the one form browsers give it, None where it is none.

    Args:
        host: in lower case, as `AUTHORITY` matches it.
    """
    if host[-1] not in "0123456789.]":
        return host
    return _canonical(host) if len(host) <= LONGEST_ADDRESS else _canonical.__wrapped__(host)


@lru_cache(maxsize=1024)  # an address takes 10 µs, and there are few that pages come from
def _canonical(host: str) -> str | None:
    try:
        if host.startswith("["):
            return f"[{IPv6Address(host[1:-1])}]"
        if host.rstrip(".").rpartition(".")[2].isdigit():  # to a browser that is an address, and it writes four numbers
            return str(IPv4Address(host))
    except ValueError:
        return None
    return host


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return an IP address, None where it is none. IPv4 as IPv6 sockets show it is IPv4; a zone counts for nothing."""
    return _parsed(text) if len(text) <= LONGEST_ADDRESS else None


@lru_cache(maxsize=4096)
def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def is_loopback(host: str) -> bool:
    """Whether a name or an address, in brackets or not, is this machine to a program that uses it.

    Names below `localhost` are: nobody can register one, and browsers look none of them up (RFC 6761 §6.3).
    """
    name = host.lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = parse_address(host.removeprefix("[").removesuffix("]"))
    return address is not None and address.is_loopback


def names_loopback(header: str | None) -> bool:
    """Whether a Host header names this machine: the sender meant it, and no name that leads here."""
    found = split_host(header)
    return found is not None and is_loopback(found[0])
