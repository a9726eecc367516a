"""A Redis Cluster: its primaries, which slots each has, and what to do while that changes.

The map of slots is read from the Cluster and read again whenever something hints that it changed: a redirection, a lost
connection, a name that is no longer heard, ten seconds without a look. Commands that a server would not carry out for
that reason go where they belong (`redirects`), within their deadline; names to be heard move with their slots.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Hashable, Mapping, Sequence, Set
from typing import Any, NamedTuple

from messageflow.brokers.base import Ack
from messageflow.brokers.redis.connections.connector import Connector
from messageflow.brokers.redis.connections.reconnecting_connection import ReconnectingConnection
from messageflow.brokers.redis.connections.resp import Announcing, ErrorReply, Parts, RedisCommand
from messageflow.brokers.redis.connections.server_check import ServerInfo, parse_info
from messageflow.brokers.redis.connections.url import Address
from messageflow.brokers.redis.keyspace import Names
from messageflow.brokers.redis.pubsub.pubsub_connection import PubSubListener
from messageflow.brokers.redis.tasks import cancel_all, supervise, wait_at_most
from messageflow.brokers.redis.topology.primary_server import PrimaryServer
from messageflow.brokers.redis.topology.redirects import ASKING, MOST_REDIRECTS, Then, read_redirect
from messageflow.brokers.redis.topology.slot_map import SlotMap, SlotRange, read_slots, slot_of
from messageflow.core.backoff import Backoff
from messageflow.errors import BrokerError, Unavailable

log = logging.getLogger("messageflow.broker")

LOOK_EVERY, LOOK_REST = 10.0, 0.1  # seconds between two looks at the map: in quiet, and at least
FIRST_PAUSE, LONGEST_PAUSE = 0.3, 0.6  # seconds more while something is wrong
CANARY_TRIES = 200_000


class Target(NamedTuple):
    """The server a command goes to, and whether ASKING goes before it."""

    address: Address
    asking: bool = False


class View(NamedTuple):
    """The map as one server has it."""

    epoch: int
    is_well: bool
    ranges: list[SlotRange]


class ClusterTopology:
    """The topology of a Cluster.

    Args:
        connector: names some of its nodes.
        listener: takes what is announced.
        names: of everything.
        node: this node's name.
        deadline: seconds a command may take.
        announces: how something is announced there.
    """

    def __init__(
        self,
        connector: Connector,
        listener: PubSubListener,
        names: Names,
        node: str,
        deadline: float,
        *,
        announces: Announcing,
    ) -> None:
        self._connector = connector
        self._listener = listener
        self._names = names
        self._node = node
        self._deadline = deadline
        self._announces = announces
        self._servers: dict[Address, PrimaryServer] = {}
        self._slots: SlotMap[Address] = SlotMap()
        self._ranges: list[SlotRange] = []
        self._acks: dict[PrimaryServer, Ack] = {}
        self._canaries: dict[PrimaryServer, int] = {}
        self._loop = asyncio.get_running_loop()
        self._in_doubt = asyncio.Event()
        self._looked: asyncio.Future[None] = self._loop.create_future()
        self._tasks: list[asyncio.Task[None]] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._lost_before = 0

    # Life

    async def start(self) -> None:
        view = await self._read_newest_view()
        if view is None:
            raise Unavailable("no node of this Redis Cluster can be reached")
        if not view.is_well:
            raise Unavailable("this Redis Cluster does not work: its state is not ok, see CLUSTER INFO")
        for server in self._take_slots(view):
            await server.start()
        self._tasks = [supervise(self._follow, "redis-cluster")]

    def _make_server(self, address: Address) -> PrimaryServer:
        return PrimaryServer(
            self._connector.at(address),
            self._listener,
            self._choose_canary,
            deadline=self._deadline,
            announces=self._announces,
            on_moved=self._in_doubt.set,
        )

    async def close(self) -> None:
        await cancel_all(self._tasks)
        await asyncio.gather(*(server.close() for server in self._servers.values()), *self._closing)

    @property
    def trouble(self) -> str:
        found = [f"{address}: {server.trouble}" for address, server in self._servers.items() if server.trouble]
        if not self._slots.is_whole:
            found.append("some slots of the Redis Cluster have no server")
        return "; ".join(found)

    @property
    def times_lost(self) -> int:
        return self._lost_before + sum(server.times_lost for server in self._servers.values())

    async def inspect(self) -> dict[str, ServerInfo]:
        servers = dict(self._servers)
        found = await asyncio.gather(*(each.inspect(self._names.prefix) for each in servers.values()))
        self._acks = {server: each.ack for server, each in zip(servers.values(), found, strict=True)}
        return {str(address): each for address, each in zip(servers, found, strict=True)}

    # Asking

    async def execute(self, commands: Sequence[RedisCommand]) -> list[Any]:
        due = self._loop.time() + self._deadline
        replies: list[Any] = [None] * len(commands)
        pending: dict[int, Target | None] = {index: self._find_target(each.key) for index, each in enumerate(commands)}
        redirects = 0
        while True:
            await self._ask_once(commands, pending, replies)
            pending = self._redirect(commands, pending, replies)
            if not pending:
                return replies
            if self._loop.time() >= due:
                break
            redirects += 1
            if None in pending.values() or redirects % MOST_REDIRECTS == 0:
                await self._refresh(due)
                pending = {index: self._find_target(commands[index].key) for index in pending}
        for index in pending:
            if isinstance(replies[index], ErrorReply):
                replies[index] = Unavailable(f"the Redis Cluster did not settle in time: {replies[index].text}")
        return replies

    def _find_target(self, key: str) -> Target | None:
        address = self._slots.find(key)
        return None if address is None else Target(address)

    async def _ask_once(
        self, commands: Sequence[RedisCommand], pending: Mapping[int, Target | None], replies: list[Any]
    ) -> None:
        parts: dict[Address, list[int]] = {}
        for index, target in pending.items():
            if target is None:
                replies[index] = Unavailable("a slot of the Redis Cluster has no server")
            else:
                parts.setdefault(target.address, []).append(index)
        asking = {index for index, target in pending.items() if target is not None and target.asking}
        asked = [_ask(self._servers[address], commands, part, asking) for address, part in parts.items()]
        for part, answers in zip(parts.values(), await asyncio.gather(*asked), strict=True):
            for index, answer in zip(part, answers, strict=True):
                replies[index] = answer

    def _redirect(
        self, commands: Sequence[RedisCommand], asked: Mapping[int, Target | None], replies: Sequence[Any]
    ) -> dict[int, Target | None]:
        """Return which commands have to be asked again, and where; None where the map has to be read first."""
        pending: dict[int, Target | None] = {}
        for index, target in asked.items():
            if not isinstance(replies[index], BrokerError):
                continue
            host = "" if target is None else target.address.host
            redirect = read_redirect(replies[index], announces=commands[index].announces, host=host)
            if redirect is None:
                continue
            pending[index] = None
            if redirect.address in self._servers and not commands[index].announces:  # else hear the slot there first
                pending[index] = Target(redirect.address, redirect.then is Then.FOLLOW_ONCE)
            if redirect.then is Then.FOLLOW:
                self._in_doubt.set()
        return pending

    def execute_unawaited(self, command: RedisCommand) -> None:
        server = self._find_home(command.key)
        if server is not None:
            server.commands.execute_unawaited(*command.parts)

    # Hearing

    async def subscribe(self, name: str) -> None:
        server = self._find_home(name) or next(iter(self._servers.values()))
        await server.pubsub.subscribe(name)

    def unsubscribe(self, name: str) -> None:
        for server in self._servers.values():
            if name in server.pubsub.names:
                server.pubsub.unsubscribe(name)

    def _find_home(self, key: str) -> PrimaryServer | None:
        address = self._slots.find(key)
        return None if address is None else self._servers[address]

    def _choose_canary(self, server: PrimaryServer) -> str:
        """Return a name that lies on a server, the same for as long as it lies there."""
        number = self._canaries.get(server, 0)
        for _ in range(CANARY_TRIES):
            name = self._names.canary(self._node, number)
            if self._find_home(name) is server:
                break
            number += 1
        self._canaries[server] = number
        return name

    def identify_server(self, key: str) -> Hashable:
        return self._find_home(key)

    def find_place(self, key: str) -> Hashable:
        return slot_of(key)

    def get_announcing(self, key: str) -> Announcing:
        return self._announces

    def get_ack(self, key: str) -> Ack:
        server = self._find_home(key)
        return self._acks.get(server, "memory") if server is not None else "memory"

    # Following changes

    async def _refresh(self, due: float) -> None:
        """Have the map read again, and wait until it was."""
        self._in_doubt.set()
        await asyncio.wait([self._looked], timeout=max(0.0, due - self._loop.time()))

    async def _follow(self) -> None:
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE, random.random)
        while True:
            await wait_at_most(self._in_doubt, LOOK_EVERY)
            view = await self._read_newest_view()
            if view is not None:
                self._adopt(view)
            looked, self._looked = self._looked, self._loop.create_future()
            looked.set_result(None)
            await asyncio.sleep(LOOK_REST)
            if view is None or not view.is_well or any(not each.commands.is_up for each in self._servers.values()):
                await asyncio.sleep(backoff.fail())
                self._in_doubt.set()
            else:
                backoff.reset()

    async def _read_newest_view(self) -> View | None:
        """Return the newest map that a server has, asking those that can be asked, else all that were ever named."""
        reached = [(address, each.commands) for address, each in self._servers.items() if each.commands.is_up]
        views = [view for view in await asyncio.gather(*(_read_view(*each) for each in reached)) if view is not None]
        if not views:
            for address in dict.fromkeys([*self._servers, *self._connector.addresses]):
                connection = ReconnectingConnection(self._connector.at(address), deadline=min(1.0, self._deadline))
                try:
                    await connection.start()
                    view = await _read_view(address, connection)
                except BrokerError as error:
                    log.info("cluster_node_not_reached", extra={"node": str(address), "error": str(error)})
                    continue
                finally:
                    await connection.close()
                if view is not None:
                    views.append(view)
                    break
        return max(views, key=lambda view: (view.is_well, view.epoch), default=None)

    def _adopt(self, view: View) -> None:
        """Take over a map: servers that have slots now, and names to be heard, wherever these lie now."""
        if view.ranges == self._ranges and not any(server.pubsub.misses_names for server in self._servers.values()):
            return
        before = {each.primary for each in self._ranges}
        new = self._take_slots(view)
        with_slots = {each.primary for each in self._ranges}
        if before - with_slots:
            self._listener.on_lost()  # an heir may lack the end of what was seen, though no connection was lost
        for server in new:
            server.begin()
        gained: set[PrimaryServer] = set()
        for server in self._servers.values():
            for name in list(server.pubsub.names):
                home = self._find_home(name)
                if home is not None and home is not server:
                    home.pubsub.add(name, server.pubsub.remove(name))
                    gained.add(home)
            if server.pubsub.resubscribe_missing():
                gained.add(server)
        for server in gained:
            server.pubsub.report_missed()
        for address in [each for each in self._servers if each not in with_slots]:
            self._retire(self._servers.pop(address))

    def _take_slots(self, view: View) -> list[PrimaryServer]:
        """Note which server has which slot. Returns the servers that are new."""
        self._ranges = view.ranges
        new = []
        for address in dict.fromkeys(each.primary for each in view.ranges):
            if address not in self._servers:
                server = self._servers[address] = self._make_server(address)
                new.append(server)
                log.info("cluster_primary", extra={"address": str(address)})
        self._slots = SlotMap.from_ranges(view.ranges, lambda address: address)
        return new

    def _retire(self, server: PrimaryServer) -> None:
        self._lost_before += server.times_lost
        self._acks.pop(server, None)
        self._canaries.pop(server, None)
        task = self._loop.create_task(server.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _ask(
    server: PrimaryServer, commands: Sequence[RedisCommand], which: Sequence[int], asking: Set[int]
) -> list[Any]:
    """Return the replies of a server to some commands, with ASKING before those that need it."""
    if not asking:
        return await server.execute([commands[index].parts for index in which])
    sent: list[Parts] = []
    for index in which:
        sent += [ASKING, commands[index].parts] if index in asking else [commands[index].parts]
    replies = await server.execute(sent)
    return [reply for parts, reply in zip(sent, replies, strict=True) if parts is not ASKING]


async def _read_view(address: Address, connection: ReconnectingConnection) -> View | None:
    try:
        facts = parse_info(await connection.execute_one("CLUSTER", "INFO"))
        ranges = read_slots(await connection.execute_one("CLUSTER", "SLOTS"), address)
    except (BrokerError, ValueError):
        return None
    return View(int(facts.get("cluster_current_epoch", 0)), facts.get("cluster_state") == "ok", ranges)
