"""The names of everything in Redis: no channel's name can act as syntax, and all of one channel lies in one slot.

Pure. A channel is written in base64url, so neither braces nor patterns nor separators of a name mean anything; the
braces around it make Redis Cluster keep its keys together.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode


class Names:
    """The names under one prefix.

    Args:
        prefix: sets apart what belongs to one gateway from all else in the same Redis.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.control = f"{prefix}:control"
        self.nodes = f"{prefix}:nodes"
        self._start = f"{prefix}:{{".encode()

    def channel(self, channel: str) -> str:
        """What all names of a channel begin with."""
        return f"{self.prefix}:{{{_encoded(channel)}}}"

    def live(self, channel: str) -> str:
        """Where its publications are announced."""
        return self.channel(channel) + ":live"

    def state(self, channel: str) -> str:
        """The hash that says where its stream stands."""
        return self.channel(channel) + ":state"

    def log(self, channel: str) -> str:
        """The stream of its publications."""
        return self.channel(channel) + ":log"

    def key(self, channel: str, key: str) -> str:
        """What an idempotency key is remembered under."""
        return f"{self.channel(channel)}:key:{key}"

    def present(self, channel: str) -> str:
        """The hash of who is there."""
        return self.channel(channel) + ":present"

    def of_node(self, node: str) -> str:
        """The set of channels in which a node has somebody present."""
        return f"{self.prefix}:node:{node}"

    def channel_of(self, live: bytes) -> str | None:
        """Return the channel of a name made by `live`, or None when it is none."""
        if not live.startswith(self._start) or not live.endswith(b"}:live"):
            return None
        try:
            return _decoded(live[len(self._start) : -len(b"}:live")])
        except ValueError:
            return None


def _encoded(channel: str) -> str:
    return urlsafe_b64encode(channel.encode()).rstrip(b"=").decode()


def _decoded(text: bytes) -> str:
    return urlsafe_b64decode(text + b"=" * (-len(text) % 4)).decode()
