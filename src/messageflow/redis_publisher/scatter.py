"""Questions to all gateways from one who is none: a connection of its own hears the answers, and is gone then.

The other side is `brokers.redis.pubsub.scatter_gather`.
"""

from __future__ import annotations

import secrets
import time
from contextlib import closing

from messageflow.brokers.redis.connections.command_client import CommandClient
from messageflow.brokers.redis.connections.resp import ErrorReply
from messageflow.brokers.redis.keyspace import Names
from messageflow.brokers.redis.presence.presence_store import RedisPresenceStore
from messageflow.brokers.redis.pubsub.scatter_gather import SURVEY_SECONDS, encode_question, read_answer
from messageflow.client_io.kernel import translate_errors
from messageflow.redis_publisher.server_connector import pack
from messageflow.redis_publisher.servers import Servers


async def survey(
    text: bytes, servers: Servers, ask: CommandClient, registry: RedisPresenceStore, names: Names, limit: float
) -> list[bytes]:
    """Ask all gateways, and return the answers of those that gave one in time.

    Args:
        text: as `brokers.base.NodeMessages.survey` has it.
        servers: where answers are heard.
        ask: asks the servers.
        registry: knows how many will answer.
        names: of everything.
        limit: when the call must be over.

    Raises:
        Broken, NotAccepted, BrokerError: it cannot be asked.
        TimeoutError: at the limit, before it was asked.
    """
    own = names.to_node(f"flow-{secrets.token_urlsafe(8)}")
    connection, subscribe = await servers.dial_home(own)
    found: list[bytes] = []
    with closing(connection), translate_errors():
        await connection.send(pack([subscribe]), limit)
        confirmed = await connection.receive(limit)
        if isinstance(confirmed, ErrorReply):
            raise confirmed
        await ask.announce(names.control, encode_question(1, own, text))
        awaited = len((await registry.list_nodes()).live)
        until = min(limit, time.monotonic() + SURVEY_SECONDS)
        while len(found) < awaited:
            try:
                heard = await connection.receive(until)
            except TimeoutError:
                break
            if isinstance(heard, list) and len(heard) == 3 and (said := read_answer(heard[2])) is not None:
                found.append(said[1])
    return found
