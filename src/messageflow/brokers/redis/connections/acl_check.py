"""The check of a user's rights (ACL) in Redis: each command messageflow uses is tried once, on keys that go at once.

A script that is refused in its middle does not say which command it was, and a push is a bad moment to learn it. Redis
looks at what a user may do before anything else, a node of a Cluster even before it looks whether a key is its own; so
any answer but NOPERM means that they may.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from messageflow.brokers.redis.connections.resp import ErrorReply, Parts

NO_PERMISSION = "NOPERM"
COMMAND = re.compile(r"run the '([\w|-]+)' command")
COMMANDS = (  # without effect, but for what the last one removes; {key} and {name} are put in
    *(
        "SCRIPT LOAD return(1)",
        "TIME",
        "PING",
        "GET {key}",
        "HGET {key} f",
        "HMGET {key} f",
        "HGETALL {key}",
        "HLEN {key}",
        "HDEL {key} f",
    ),
    *("EXPIRE {key} 1", "PEXPIRE {key} 1000", "XADD {key} NOMKSTREAM * f v", "XTRIM {key} MAXLEN 0"),
    *("XRANGE {key} - +", "XREVRANGE {key} + -", "ZADD {key} XX 1 m", "ZREM {key} m", "ZSCORE {key} m"),
    *("ZRANGEBYSCORE {key} 0 1", "SREM {key} m", "SRANDMEMBER {key} 1", "EVALSHA none 0", "UNSUBSCRIBE {name}"),
    *("PUBLISH {name} canary", "SADD {key} m", "DEL {key}", "HSET {key} f 1", "HINCRBY {key} f 1", "DEL {key}"),
    *("SET {key} 1 PX 1", "EVAL return(1) 0", "DEL {key}"),
)

AskAll = Callable[[Sequence[Parts]], Awaitable[list[Any]]]


async def find_missing_permissions(ask: AskAll, prefix: str) -> tuple[str, ...]:
    """Return what this user may not do and must, each with what to add to their rights.

    Args:
        ask: sends commands to one server and returns their replies.
        prefix: what all names begin with.
    """
    key, name = f"{prefix}:rehearsal", f"{prefix}:rehearsal:live"
    commands = [tuple(text.replace("{key}", key).replace("{name}", name).split()) for text in COMMANDS]
    replies = await ask(commands)
    missing: dict[str, None] = {}
    for reply in replies:
        if isinstance(reply, ErrorReply) and reply.word == NO_PERMISSION:
            missing[_explain_denial(reply.text, prefix)] = None
    return tuple(missing)


def _explain_denial(text: str, prefix: str) -> str:
    if found := COMMAND.search(text):
        return f"this user may not use {found[1].upper()}: add +{found[1]}; docs/redis.md has all that is needed"
    if "channel" in text:
        return f"this user may not use channels that begin with {prefix}: add &{prefix}:*"
    if "key" in text:
        return f"this user may not use keys that begin with {prefix}: add ~{prefix}:*"
    return text
