"""The names of everything in Redis: no channel's name can act as syntax, and all of one channel lies in one slot.

Pure. A channel is written in base64url, so neither braces nor patterns nor separators of a name mean anything; the
braces around it make Redis Cluster keep its keys together. What is not a channel's begins with a dot between its
braces, which base64url does not know.
"""

from __future__ import annotations

import re
from base64 import b64decode, urlsafe_b64encode

from messageflow.errors import ConfigurationError

_PREFIX = re.compile(r"[A-Za-z0-9_.:/-]{1,64}")


class Names:
    """The names under one prefix.

    Args:
        prefix: sets apart what belongs to one gateway from all else in the same Redis.

    Raises:
        ConfigurationError: the prefix has characters that mean something to Redis.
    """

    def __init__(self, prefix: str) -> None:
        if not _PREFIX.fullmatch(prefix):
            raise ConfigurationError(
                f"{prefix!r} cannot be a prefix of names in Redis: use up to 64 letters, digits and _ . : / -"
            )
        self.prefix = prefix
        self.control = f"{prefix}:{{.control}}"
        self.nodes = f"{prefix}:{{.nodes}}"
        self.age = f"{prefix}:{{.age}}"
        self.rules = f"{prefix}:rules"
        self.shard = f"{prefix}:shard"
        self._start = f"{prefix}:{{".encode()

    def channel(self, channel: str) -> str:
        """What all names of a channel begin with."""
        return f"{self.prefix}:{{{_encode(channel)}}}"

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

    def reservation(self, user: str, key: str) -> str:
        """What became of a key of a user is remembered under."""
        return f"{self.prefix}:{{.reservation.{_encode(user)}.{_encode(key)}}}"

    def present(self, channel: str) -> str:
        """The hash of who is there."""
        return self.channel(channel) + ":present"

    def users(self, channel: str) -> str:
        """The hash of how often each user is there."""
        return self.channel(channel) + ":users"

    def of_node(self, node: str) -> str:
        """The set of channels in which a node has somebody present."""
        return f"{self.prefix}:{{.node.{node}}}"

    def grave(self, node: str) -> str:
        """Whether others have cleared up after a node."""
        return f"{self.prefix}:{{.grave.{node}}}"

    def beat(self, node: str) -> str:
        """How far a node has seen it."""
        return f"{self.prefix}:{{.beat.{node}}}"

    def to_node(self, node: str) -> str:
        """Under which one node hears what is for it alone."""
        return f"{self.prefix}:{{.to.{node}}}"

    def canary(self, node: str, number: int) -> str:
        """Under which a node hears itself; of all numbers some lie on each server."""
        return f"{self.prefix}:{{.canary.{node}.{number}}}"

    def channel_of(self, live: bytes) -> str | None:
        """Return the channel of a name made by `live`, or None when it is none."""
        if not live.startswith(self._start) or not live.endswith(b"}:live"):
            return None
        try:
            return _decode(live[len(self._start) : -len(b"}:live")])
        except ValueError:
            return None


def tag_of(key: str) -> str:
    """Return the part of a key that decides where it lies, by the rule of Redis Cluster for braces."""
    start = key.find("{")
    end = key.find("}", start + 1)
    return key[start + 1 : end] if 0 <= start < end - 1 else key


def _encode(channel: str) -> str:
    return urlsafe_b64encode(channel.encode()).rstrip(b"=").decode()


def _decode(text: bytes) -> str:
    return b64decode(text + b"=" * (-len(text) % 4), b"-_", validate=True).decode()
