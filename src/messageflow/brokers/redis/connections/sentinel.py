"""The question to a Sentinel which server takes writes, and how its answer is read.

Pure; gateways ask all Sentinels at once, blocking flows one after the other.
"""

from __future__ import annotations

from typing import Any

from messageflow.brokers.redis.connections.resp import Parts
from messageflow.brokers.redis.connections.url import Address


def ask_for_primary(service: str) -> Parts:
    """Return the command that asks for the primary of a service."""
    return ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service)


def read_primary(reply: Any) -> Address | None:
    """Return the address in the answer, None where this Sentinel does not watch the service."""
    if isinstance(reply, list) and len(reply) == 2:
        return Address(reply[0].decode(), int(reply[1]))
    return None
