"""Names of channels: which there can be, and what `#`, `*`, `$`, `!` and `:` in them mean.

A channel is named by printable ASCII. Five kinds of name carry meaning:

    #alice          the personal channel of a user: derived by the server from the token, never named by a client
    *               the broadcast channel, which every authenticated session holds
    $news:eu        private: a subscription token for exactly this channel is required
    chat:a#1,42     user-limited: only the users listed after `#` may subscribe, where the namespace allows it
    !revoked        internal, as all that begin so: what gateways tell one another; nobody else can name it

What stands before the first `:` is the namespace (`news`, `chat`). Its options are `core.namespaces`; what a client may
do, `core.permissions`. Pure: owns names, knows nothing of options, users' rights, sessions or brokers.
"""

from __future__ import annotations

import re

BROADCAST = "*"
PERSONAL_PREFIX = "#"
PRIVATE_PREFIX = "$"
INTERNAL_PREFIX = "!"
REVOKED = "!revoked"  # see `core.revocations`
NODES, CLIENTS = "!nodes", "!clients"  # who lives, and who is connected: see `hub.node_deaths`
DEATHS = (NODES, CLIENTS)  # where it is announced who died
NAMESPACE_SEPARATOR = ":"
USERS_SEPARATOR = "#"
NAME_BYTES = 255

_NAME = re.compile(rf"[\x21-\x7e]{{1,{NAME_BYTES}}}")


def is_channel(name: str) -> bool:
    """Whether a channel may have this name, wherever it belongs."""
    return _NAME.fullmatch(name) is not None


def split(channel: str) -> tuple[str | None, str]:
    """Return the namespace of a channel name, None without one, and what follows it."""
    bare = channel.removeprefix(PRIVATE_PREFIX)
    namespace, separator, rest = bare.partition(NAMESPACE_SEPARATOR)
    return (namespace, rest) if separator else (None, bare)


def personal(user: str) -> str:
    """Return the personal channel of `user`."""
    return PERSONAL_PREFIX + user


def owned_by_server(channel: str) -> bool:
    """Whether no client may name this channel: personal channels, the broadcast channel, internal ones."""
    return channel == BROADCAST or channel.startswith((PERSONAL_PREFIX, INTERNAL_PREFIX))
