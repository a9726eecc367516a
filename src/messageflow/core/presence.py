"""Who is in a channel, held by leases.

Each entry belongs to a *node*, the gateway worker whose connection it is, and each node renews one lease for all its
entries. A node that dies stops renewing, and everything it held is gone when the lease runs out; a live node removes
its own entries. So a ghost lives no longer than a lease, and keeping the living costs one renewal a node, not one a
connection.

Pure: time is an argument.
"""

from __future__ import annotations

from typing import NamedTuple

from messageflow.core.protocol import ClientInfo


class PresenceCounts(NamedTuple):
    """How many connections, and how many different users, are in a channel."""

    clients: int
    users: int


class Presence:
    """Entries by channel and client id.

    Args:
        lease: seconds for which a node's entries are believed after its last renewal.
    """

    def __init__(self, *, lease: float = 30.0) -> None:
        self.lease = lease
        self._channels: dict[str, dict[str, tuple[ClientInfo, str]]] = {}
        self._leases: dict[str, float] = {}

    def renew(self, node: str, now: float) -> None:
        """Believe the entries of `node` for another lease."""
        self._leases[node] = now + self.lease

    def add(self, channel: str, info: ClientInfo, node: str) -> None:
        """Enter a client. Entering it again replaces what is known of it."""
        self._channels.setdefault(channel, {})[info.client] = (info, node)

    def remove(self, channel: str, client: str) -> None:
        """Take a client out; one that is not there is no error."""
        entries = self._channels.get(channel)
        if entries is not None:
            entries.pop(client, None)
            if not entries:
                del self._channels[channel]

    def clients(self, channel: str, now: float) -> dict[str, ClientInfo]:
        """Return who is in `channel`, by client id."""
        live = {node for node, until in self._leases.items() if until > now}
        return {client: info for client, (info, node) in self._channels.get(channel, {}).items() if node in live}

    def stats(self, channel: str, now: float) -> PresenceCounts:
        """Return how many are in `channel`."""
        infos = self.clients(channel, now).values()
        return PresenceCounts(len(infos), len({info.user for info in infos}))

    def remove_node(self, node: str) -> list[tuple[str, ClientInfo]]:
        """Remove the entries of a node that is known to be gone. Returns them, so that leaves can be told."""
        self._leases.pop(node, None)
        gone = [
            (channel, info)
            for channel, entries in self._channels.items()
            for info, owner in entries.values()
            if owner == node
        ]
        for channel, info in gone:
            self.remove(channel, info.client)
        return gone
