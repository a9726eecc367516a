"""Commands and scripts to Redis: a script that was flushed is sent along, and what is not ours is taken away.

Owns what is done about replies, never a connection or a task: the servers are given to it, so that gateways and flows
that publish without one do the same. It waits for nothing but their replies.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Hashable, Sequence
from typing import Any, Protocol

from messageflow.brokers.base import Ack
from messageflow.brokers.redis.connections.resp import Announcing, ErrorReply, RedisCommand, Value
from messageflow.brokers.redis.scripts import Script
from messageflow.errors import BrokerError

log = logging.getLogger("messageflow.broker")

WRONG_TYPE = "WRONGTYPE"

ScriptCall = tuple[Sequence[str], Sequence[Value]]  # keys and arguments of a script


class CommandRouter(Protocol):
    """The servers that have the keys, however many and wherever they are."""

    async def execute(self, commands: Sequence[RedisCommand]) -> list[Any]:
        """Return a reply to each command, in order; a `BrokerError` where there is none. Never raises one."""

    def find_place(self, key: str) -> Hashable:
        """Return what keys have in common that one script may use together."""

    def get_announcing(self, key: str) -> Announcing:
        """Return how something is announced under a name there."""

    def get_ack(self, key: str) -> Ack:
        """Return what storing means there."""


class CommandClient:
    """Sends commands to the servers that have their keys.

    Args:
        servers: where the keys are.

    Attributes:
        garbage: how much was found that messageflow does not write.
    """

    def __init__(self, servers: CommandRouter) -> None:
        self.servers = servers
        self.garbage = 0
        self._logged = -math.inf

    async def announce(self, name: str, message: bytes) -> None:
        """Announce a message under a name."""
        await self.execute_one(self.servers.get_announcing(name).to_command(name, message))

    def skip_garbage(self, error: Exception, channel: str) -> None:
        """Pass over what is not ours. It is counted, and logged once a second."""
        self.garbage += 1
        now = time.monotonic()
        if now - self._logged >= 1:
            self._logged = now
            log.error("garbage_in_redis", extra={"channel": channel, "error": str(error), "skipped": self.garbage})

    async def execute(self, commands: Sequence[RedisCommand]) -> list[Any]:
        """Send commands and return their replies; remove what lies under a key and is not ours, and send them again."""
        replies = await self.servers.execute(commands)
        wrong = [
            index for index, reply in enumerate(replies) if isinstance(reply, ErrorReply) and WRONG_TYPE in reply.text
        ]
        if wrong:
            for index in wrong:
                self.skip_garbage(replies[index], "")
            keys = [key for index in wrong for key in _keys(commands[index])]
            await self.servers.execute([RedisCommand(key, ("DEL", key)) for key in keys])
            again = await self.servers.execute([commands[index] for index in wrong])
            for index, reply in zip(wrong, again, strict=True):
                replies[index] = reply
        return replies

    async def execute_one(self, command: RedisCommand) -> Any:
        """Send a command, and return the reply.

        Raises:
            BrokerError: there is none.
        """
        [reply] = await self.execute([command])
        return raise_if_error(reply)

    async def run_script(self, script: Script, keys: Sequence[str], arguments: Sequence[Value]) -> Any:
        """Run a script, and return its reply.

        Raises:
            BrokerError: there is none.
        """
        [reply] = await self.run_each(script, [(keys, arguments)])
        return raise_if_error(reply)

    async def run_each(self, script: Script, calls: Sequence[ScriptCall]) -> list[Any]:
        """Run a script with each of some keys and arguments; where the server does not have it, send it along."""

        def commands(verb: str, what: str, which: Sequence[int]) -> list[RedisCommand]:
            chosen = [calls[index] for index in which]
            return [
                RedisCommand(keys[0], (verb, what, len(keys), *keys, *values), script.announces)
                for keys, values in chosen
            ]

        replies = await self.execute(commands("EVALSHA", script.digest, range(len(calls))))
        missing = [
            index for index, reply in enumerate(replies) if isinstance(reply, ErrorReply) and reply.word == "NOSCRIPT"
        ]
        if missing:
            again = await self.execute(commands("EVAL", script.text, missing))
            for index, reply in zip(missing, again, strict=True):
                replies[index] = reply
        return replies


def raise_if_error(reply: Any) -> Any:
    """Return a reply, and raise one that is an error."""
    if isinstance(reply, BrokerError):
        raise reply
    return reply


def _keys(command: RedisCommand) -> Sequence[str]:
    """Return the keys a command is about."""
    if command.parts[0] in ("EVALSHA", "EVAL"):
        return [str(key) for key in command.parts[3 : 3 + int(command.parts[2])]]
    return [command.key]
