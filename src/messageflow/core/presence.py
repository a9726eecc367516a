"""Who is in a channel, of brokers that live in one process: each entry belongs to a *node*, the worker it connects to.

A node takes its own entries out; of one that is gone, which the parent of workers sees at once, all are removed. So
nothing here runs out: in Redis, where a node may end without a word, `brokers.redis.presence.lease` sees to that.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from messageflow.core.client_info import ClientInfo


class PresenceCounts(NamedTuple):
    """How many connections, and how many different users, are in a channel."""

    clients: int
    users: int


Clients = ClientInfo | dict[str, ClientInfo]  # one alone, as in nearly all personal channels, takes no table


class Presence:
    """Entries by channel and client id.

    One alone in its channel costs a place in its node's table and nothing else: 240 bytes less (benchmarks: memory).
    """

    def __init__(self) -> None:
        self._nodes: dict[str, dict[str, Clients]] = {}  # by node, then by channel

    def add(self, channel: str, info: ClientInfo, node: str) -> None:
        """Enter a client. Entering it again replaces what is known of it."""
        if node not in self._nodes:
            self._nodes[node] = {}
        if len(self._nodes) > 1:
            for other, theirs in self._nodes.items():
                if other != node:
                    _remove(theirs, channel, info.client)
        channels = self._nodes[node]
        found = channels.get(channel)
        if isinstance(found, dict):
            found[info.client] = info
        elif found is None or found.client == info.client:
            channels[channel] = info
        else:
            channels[channel] = {found.client: found, info.client: info}

    def remove(self, channel: str, client: str) -> None:
        """Take a client out; one that is not there is no error."""
        for channels in self._nodes.values():
            _remove(channels, channel, client)

    def clients(self, channel: str) -> dict[str, ClientInfo]:
        """Return who is in `channel`, by client id."""
        return {info.client: info for theirs in self._nodes.values() for info in _list(theirs.get(channel))}

    def stats(self, channel: str) -> PresenceCounts:
        """Return how many are in `channel`."""
        infos = self.clients(channel).values()
        return PresenceCounts(len(infos), len({info.user for info in infos}))

    def remove_node(self, node: str) -> list[tuple[str, ClientInfo]]:
        """Remove the entries of a node that is known to be gone. Returns them, so that leaves can be told."""
        gone = self._nodes.pop(node, {})
        return [(channel, info) for channel, clients in gone.items() for info in _list(clients)]


def _list(clients: Clients | None) -> Iterable[ClientInfo]:
    if isinstance(clients, dict):
        return clients.values()
    return () if clients is None else (clients,)


def _remove(channels: dict[str, Clients], channel: str, client: str) -> None:
    """Take a client out of the table of a node."""
    found = channels.get(channel)
    if isinstance(found, dict):
        found.pop(client, None)
        if found:
            return
    elif found is None or found.client != client:
        return
    del channels[channel]
