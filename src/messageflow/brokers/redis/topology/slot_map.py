"""The slots of a Redis Cluster: what a server tells of them, and which server has a key by that.

Pure; used by gateways, which keep connections and follow changes, and by flows, which come and go. Owns the map alone,
never a connection.

Source: the Redis Cluster specification, "Key distribution model" and "CLUSTER SLOTS".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, NamedTuple, TypeVar

from redis.crc import key_slot

from messageflow.brokers.redis.connections.url import Address

SLOTS = 16_384

S = TypeVar("S")


class SlotRange(NamedTuple):
    """Slots, the last included, and the primary that has them."""

    first: int
    last: int
    primary: Address


def read_slots(rows: Any, asked: Address) -> list[SlotRange]:
    """Return what a server answers to CLUSTER SLOTS; one that does not know its own host is where it was asked.

    Raises:
        ValueError: it is no answer to that.
    """
    try:
        return [
            SlotRange(first, last, Address((primary[0] or b"").decode() or asked.host, primary[1]))
            for first, last, primary, *_ in rows
        ]
    except (TypeError, AttributeError, IndexError, ValueError) as error:
        raise ValueError(f"it does not tell its slots: {rows}") from error


def slot_of(key: str) -> int:
    """Return the slot of a key: what one script may use together has one slot."""
    return key_slot(key.encode())


class SlotMap(Generic[S]):
    """Which server has which slot; none has any at first."""

    __slots__ = ("_slots",)

    def __init__(self) -> None:
        self._slots: list[S | None] = [None] * SLOTS

    @classmethod
    def from_ranges(cls, ranges: Iterable[SlotRange], server_at: Callable[[Address], S]) -> SlotMap[S]:
        """Return the map that a server tells.

        Args:
            ranges: as they were read from it.
            server_at: returns what stands for the server at an address.
        """
        made = cls()
        for first, last, address in ranges:
            made._slots[first : last + 1] = [server_at(address)] * (last + 1 - first)
        return made

    def find(self, key: str) -> S | None:
        """Return the server that has a key, None where the Cluster has none for its slot."""
        return self._slots[key_slot(key.encode())]

    def move(self, key: str, server: S) -> None:
        """Note that the slot of a key is at another server now."""
        self._slots[key_slot(key.encode())] = server

    @property
    def is_whole(self) -> bool:
        """Whether every slot has a server."""
        return None not in self._slots

    @property
    def servers(self) -> list[S]:
        """Those that have slots, each once."""
        return [server for server in dict.fromkeys(self._slots) if server is not None]
