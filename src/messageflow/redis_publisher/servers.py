"""The servers that one attempt of a call asks: a `CommandRouter` over connections that callers share."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from messageflow.brokers.base import Ack
from messageflow.brokers.redis.connections.resp import NOT_HERE, NOT_NOW, Announcing, ErrorReply, Parts, RedisCommand
from messageflow.brokers.redis.topology.redirects import ASKING, MOST_REDIRECTS
from messageflow.brokers.redis.topology.shards import shard_of
from messageflow.client_io.kernel import Attempt, Broken, ClientConnection
from messageflow.client_io.pool import ConnectionPool, exchange
from messageflow.redis_publisher.routing import Router
from messageflow.redis_publisher.server_connector import NotAccepted, make_part

ANOTHER_TIME = (*NOT_NOW, *NOT_HERE)  # nothing of it was carried out


class Servers:
    """The servers, for one attempt.

    Args:
        routers: of each shard, prepared.
        acks: what storing means, by server.
        attempt: how long it may take, and how far it came.
    """

    def __init__(self, routers: Sequence[Router], acks: Mapping[ConnectionPool, Ack], attempt: Attempt) -> None:
        self._routers = routers
        self._acks = acks
        self._attempt = attempt

    async def dial_home(self, name: str) -> tuple[ClientConnection, Parts]:
        """Return a new connection to where a name is announced, and the command to hear it there."""
        router = self._route(name)
        return await router.pool(name).dial(self._attempt.limit), router.announces.to_subscribe(name)

    def _route(self, key: str) -> Router:
        return self._routers[shard_of(key, len(self._routers)) if len(self._routers) > 1 else 0]

    async def execute(self, commands: Sequence[RedisCommand]) -> list[Any]:
        """Return a reply to each command, in order; a `ErrorReply` where Redis refused.

        Raises:
            Broken, NotAccepted: the attempt cannot go on.
            TimeoutError: at its limit.
        """
        for router in {self._route(command.key) for command in commands}:
            if router.in_doubt:
                await router.prepare(self._attempt)
        sent_before, done = self._attempt.sent, False
        replies: list[Any] = [None] * len(commands)
        where = {index: self._route(command.key).pool(command.key) for index, command in enumerate(commands)}
        asking: set[int] = set()
        for _ in range(MOST_REDIRECTS):
            await self._ask_once(commands, where, asking, replies)
            refused = {index: replies[index] for index in where if isinstance(replies[index], ErrorReply)}
            done = done or len(refused) < len(where)
            where = self._follow_redirects(commands, refused, where)
            if not where:
                break
            asking = {index for index in where if replies[index].word == "ASK"}
        self._judge_replies(commands, replies, sent=sent_before or done)
        return replies

    async def _ask_once(
        self,
        commands: Sequence[RedisCommand],
        where: Mapping[int, ConnectionPool],
        asking: set[int],
        replies: list[Any],
    ) -> None:
        chosen: dict[ConnectionPool, list[int]] = {}
        for index, pool in where.items():
            chosen.setdefault(pool, []).append(index)
        sent: list[tuple[ConnectionPool, list[Parts]]] = []
        for pool in sorted(chosen, key=_get_name) if len(chosen) > 1 else chosen:
            together: list[Parts] = []
            for index in chosen[pool]:
                if index in asking:
                    together.append(ASKING)
                together.append(commands[index].parts)
            sent.append((pool, together))
        try:
            answers = await exchange([make_part(pool, together) for pool, together in sent], self._attempt)
        except (Broken, TimeoutError):
            for router in self._routers:
                router.doubt()
            raise
        for (pool, together), found in zip(sent, answers, strict=True):
            useful = [reply for command, reply in zip(together, found, strict=True) if command is not ASKING]
            for index, reply in zip(chosen[pool], useful, strict=True):
                replies[index] = reply

    def _follow_redirects(
        self, commands: Sequence[RedisCommand], refused: Mapping[int, ErrorReply], where: Mapping[int, ConnectionPool]
    ) -> dict[int, ConnectionPool]:
        found = {
            index: self._route(commands[index].key).follow(commands[index], refusal, where[index])
            for index, refusal in refused.items()
        }
        return {index: pool for index, pool in found.items() if pool is not None}

    def _judge_replies(self, commands: Sequence[RedisCommand], replies: Sequence[Any], *, sent: bool) -> None:
        """Give the attempt up where another may fare better, or none will."""
        for command, reply in zip(commands, replies, strict=True):
            if not isinstance(reply, ErrorReply):
                continue
            if reply.word == "READONLY" or reply.word in ANOTHER_TIME:  # who takes writes may have to be found out anew
                self._route(command.key).doubt()
            if reply.word in ANOTHER_TIME:
                self._attempt.sent = sent
            give_up(reply)

    def find_place(self, key: str) -> Hashable:
        """Return what keys have in common that one script may use together."""
        router = self._route(key)
        return router, router.find_place(key)

    def get_announcing(self, key: str) -> Announcing:
        """Return how something is announced under a name there."""
        return self._route(key).announces

    def get_ack(self, key: str) -> Ack:
        """Return what storing means there."""
        return self._acks.get(self._route(key).pool(key), "memory")


def _get_name(pool: ConnectionPool) -> str:
    """By which servers are put in one order, so that no two calls wait for each other's connections."""
    return pool.name


def give_up(refusal: ErrorReply) -> None:
    """End an attempt for a refusal that has nothing to do with what was asked.

    Raises:
        NotAccepted: a password is needed.
        Broken: Redis could not do it now.
    """
    if refusal.word == "NOAUTH":
        raise NotAccepted
    if refusal.word in ANOTHER_TIME:
        raise Broken(refusal.text)
