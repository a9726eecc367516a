"""A worker's side of the broker that its parent process serves: requests, answers and publications over one link.

All travels in one order, so that what follows the answer to a subscription is all that was stored since. When
publications were missed, or the link had to be made anew, the hub is told to compare its positions; what is missing it
reads from the history. The link is made anew when it is lost, or a subscription is not confirmed in time; until then
the worker is in trouble, and says so. Owns who of it is present, never a stream.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import msgspec

from messageflow.brokers.base import HistoryPart, Later, Sink, Stored
from messageflow.brokers.worker_link import messages as m
from messageflow.brokers.worker_link.parent_link import ParentLink
from messageflow.brokers.worker_link.subscription_requests import SubscriptionRequests
from messageflow.core.backoff import Backoff
from messageflow.core.channels import DEATHS
from messageflow.core.client_info import ClientInfo
from messageflow.core.presence import PresenceCounts
from messageflow.core.protocol import Left
from messageflow.core.reservations import Reservation
from messageflow.core.stream import Item, Position
from messageflow.errors import BrokerError, Unanswered, Unavailable

log = logging.getLogger("messageflow.broker")

T = TypeVar("T")

DEADLINE = 5.0  # seconds the parent has to answer
ALIVE_EVERY = 2.0  # seconds between signs of life
SILENT = 10.0  # seconds without an answer to one, after which the server may soon take this worker for dead
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 2.0  # seconds after one that failed
RETRY = 0.02  # seconds after which somebody's leaving for which there was no room is told again
AT_ONCE = 1000  # channels, and people, told of in one go when the link is made anew
BYTES_AT_ONCE = 1 << 20  # of what is known of those people: far below what the link takes before it is full


class ParentBroker:
    """The contract of `brokers.base.Broker`, carried out by a `BrokerServer`.

    Args:
        address: the path of its socket.
        node: this worker's name, unique among all that ever were.
        deadline: seconds the server has to answer a request.

    Attributes:
        address: it changes when the socket had to be made elsewhere.
    """

    def __init__(self, address: str, node: str, deadline: float = DEADLINE) -> None:
        self.address = address
        self._node = node
        self._deadline = deadline
        self._link = ParentLink(deadline, self._receive, self._on_room, self._mark_lost)
        self._subscriptions = SubscriptionRequests(self._link, deadline, self._mark_lost)
        self._present: dict[tuple[str, str], bytes] = {}  # who of this worker is in presence, as JSON
        self._sink: Sink | None = None
        self._taken = 0  # the number of the last control message
        self._trouble = ""
        self._lost = ""  # why the link has to be made anew
        self._losing = asyncio.Event()
        self._keeping_alive: asyncio.Task[None] | None = None
        self._missed = 0
        self._begun_anew = 0
        self._garbage = 0
        self._heard = time.monotonic()

    # Life

    async def start(self, sink: Sink) -> None:
        """Begin at the server, and deliver to `sink` from now on.

        Raises:
            BrokerError: it does not answer.
        """
        self._sink = sink
        try:
            await self._connect()
        except BaseException:
            self._sink = None
            self._link.close()
            raise
        self._keeping_alive = asyncio.get_running_loop().create_task(self._keep_alive(), name="keep-alive")

    async def _connect(self) -> bool:
        """Say hello. Returns whether the server has forgotten this worker, or has never known it."""
        await self._link.connect(self.address)
        hello = self._link.ask(m.Hello(self._node, self._taken))
        await hello
        return hello.answer == m.FORGOTTEN

    async def _reconnect(self) -> None:
        """Come back with all this worker had."""
        log.warning("begins_anew", extra={"channels": len(self._subscriptions.channels), "reason": self._lost})
        self._begun_anew += 1
        self._losing.clear()
        if await self._connect():
            self._tell_forgotten()
        channels = tuple(self._subscriptions.channels)
        for start in range(0, len(channels), AT_ONCE):
            wanted = [name for name in channels[start : start + AT_ONCE] if name in self._subscriptions.channels]
            await self._link.ask(m.ChangeSubscriptions(wanted, []))
        self._subscriptions.resume()
        present = iter(tuple(self._present))
        while joins := self._take_joins(present):
            await asyncio.gather(*map(self._link.ask, joins))
        if not self._losing.is_set():  # and not lost again meanwhile
            self._lost = ""
        if self._sink is not None:
            self._sink.on_doubt()

    def _tell_forgotten(self) -> None:
        """Another worker told the application of the ends of clients here; what was announced is not heard again."""
        for channel, client in tuple(self._present):
            info = self._present.get((channel, client))
            if channel in DEATHS and info is not None and self._sink is not None:
                self._sink.on_presence(channel, Left(m.decode_info(info)))

    def _take_joins(self, present: Iterator[tuple[str, str]]) -> list[m.Join]:
        """Take as many people as are told of in one go. Returns none when there are no more."""
        joins: list[m.Join] = []
        size = 0
        for key in present:
            info = self._present.get(key)
            if info is None:
                continue  # has left meanwhile
            joins.append(m.Join(key[0], info, keep=True, tell=False))
            size += len(info)
            if len(joins) == AT_ONCE or size >= BYTES_AT_ONCE:
                break
        return joins

    def _mark_lost(self, why: str) -> None:
        """The server may not know what this worker wants, or not be there: begin anew, at once."""
        self._lost = self._trouble = why
        self._losing.set()

    async def close(self) -> None:
        self._sink = None
        if self._keeping_alive is not None:
            self._keeping_alive.cancel()
            await asyncio.wait([self._keeping_alive])
            self._keeping_alive = None
        self._link.close()

    def sever(self, why: str) -> None:
        """The server is gone for good: what was asked is not answered, and nothing more is asked."""
        self._link.sever(why)
        self._trouble = why

    @property
    def may_be_dead(self) -> bool:
        return not self._link.severed and (bool(self._lost) or time.monotonic() - self._heard > SILENT)

    @property
    def trouble(self) -> str:
        return self._trouble

    async def _keep_alive(self) -> None:
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE, random.random)
        while True:
            try:
                if self._lost:
                    await self._reconnect()
                trouble = await self._ask(m.Alive(self._taken), m.decode_text)
                self._heard = time.monotonic()
                if not self._lost:
                    self._trouble = trouble
                backoff.reset()
            except BrokerError as error:
                self._trouble = str(error)
                log.error("broker_silent", extra={"error": str(error)})
                await asyncio.sleep(backoff.fail())
                continue
            try:
                async with asyncio.timeout(ALIVE_EVERY):
                    await self._losing.wait()
            except TimeoutError:
                pass

    # Requests

    async def publish(self, items: Sequence[Item]) -> list[Stored]:
        return await self._ask(m.PublishItems(list(items)), m.decode_stored)

    def publish_now(self, item: Item, later: Later) -> None:
        """See `ImmediateStore.publish_now`: here the outcome always comes later."""
        self._link.publish(item, later)

    async def read_since(
        self, channel: str, position: Position, limit: int | None = None, size: int | None = None
    ) -> HistoryPart:
        return await self._ask(m.Since(channel, position, limit, size), m.decode_history)

    async def read_page(
        self,
        channel: str,
        offset: int | None = None,
        limit: int = 0,
        size: int | None = None,
        *,
        reverse: bool = False,
    ) -> HistoryPart:
        return await self._ask(m.ReadPage(channel, offset, limit, size, reverse), m.decode_history)

    async def remove_history(self, channel: str) -> None:
        await self._ask(m.Remove(channel), _ignore)

    async def join(self, channel: str, info: ClientInfo, *, keep: bool, tell: bool) -> None:
        encoded = m.encode_json(info)
        if keep:
            self._present[channel, info.client] = encoded
        await self._ask(m.Join(channel, encoded, keep, tell), _ignore)

    async def leave(self, channel: str, info: ClientInfo, *, tell: bool) -> None:
        self._present.pop((channel, info.client), None)
        left = m.Leave(channel, m.encode_json(info), tell)
        while True:  # who has left must not stay present because there was no room to say so,
            try:
                return await self._ask(left, _ignore)
            except (Unavailable, Unanswered):  # or it is not known to have been heard: the link may be lost with it
                if self._link.severed:
                    raise
            await asyncio.sleep(RETRY)

    async def read_presence(self, channel: str) -> dict[str, ClientInfo]:
        return await self._ask(m.Who(channel), m.decode_presence)

    async def count_presence(self, channel: str) -> PresenceCounts:
        return await self._ask(m.HowMany(channel), m.decode_stats)

    async def find_occupied(self, channels: Sequence[str]) -> set[str]:
        return await self._ask(m.Occupied(list(channels)), m.decode_names)

    async def reserve(self, user: str, key: str, age: float | None = None) -> Reservation:
        return await self._ask(m.Reserve(user, key, age), m.decode_reservation)

    async def settle(self, user: str, key: str, outcome: bytes | None) -> None:
        await self._ask(m.Settle(user, key, outcome), _ignore)

    async def send_control(self, message: bytes) -> None:
        await self._ask(m.Tell(message), _ignore)

    async def survey(self, question: bytes) -> list[bytes]:
        return await self._ask(m.Survey(question), m.decode_answers)

    async def _ask(self, request: m.Request, read: Callable[[bytes], T]) -> T:
        """Return the answer to a request.

        Raises:
            Unanswered: there was none in time; whether it was carried out is not known.
            BrokerError: it could not be carried out, or not be sent.
        """
        pending = self._link.ask(request)
        await pending
        return read(pending.answer)

    def _on_room(self) -> None:
        self._subscriptions.flush()

    # Publications

    async def subscribe(self, channel: str) -> Position | None:
        return await self._subscriptions.add(channel)

    async def subscribe_and_join(self, channel: str, info: ClientInfo, *, keep: bool, tell: bool) -> Position | None:
        """See `EntryInOne.subscribe_and_join`: one question where that can be asked now, two elsewhere."""
        if not (self._link.has_room and self._subscriptions.are_sent):
            await self.join(channel, info, keep=keep, tell=tell)
            return await self.subscribe(channel)
        encoded = m.encode_json(info)
        if keep:
            self._present[channel, info.client] = encoded
        return await self._subscriptions.add(channel, m.Enter(channel, encoded, keep, tell))

    def unsubscribe(self, channel: str) -> None:
        self._subscriptions.discard(channel)

    def _receive(self, frame: bytes) -> None:
        if self._sink is None:
            return
        try:
            self._take(self._sink, frame)
        except (ValueError, msgspec.MsgspecError) as error:
            self._garbage += 1
            log.error("publication_not_understood", extra={"error": str(error)})

    def _take(self, sink: Sink, frame: bytes) -> None:
        kind = frame[0] if frame else 0
        if kind == m.PUBLISHED:
            sink.on_publication(*m.read_published(frame))
        elif kind == m.JOINED or kind == m.LEFT:
            sink.on_presence(*m.read_presence_push(frame))
        elif kind == m.CONTROL or kind == m.DEATH:
            number, message = m.read_numbered(frame)
            if number > self._taken:  # else it was taken over the link before
                self._taken = number
                if kind == m.CONTROL:
                    sink.on_control(message)
                else:
                    sink.on_presence(*m.read_presence_push(message))
        elif kind == m.ASKED:
            survey, question = m.read_numbered(frame)
            self._link.tell(m.Report(survey, sink.on_question(question)))
        elif kind == m.MISSED:
            self._missed += 1
            sink.on_doubt()
        else:
            raise ValueError(f"a frame of kind {kind}")

    def statistics(self) -> dict[str, float]:
        return {
            "requests_waiting": len(self._link),
            "requests_unanswered": self._link.unanswered,
            "times_missed": self._missed,
            "times_begun_anew": self._begun_anew,
            "publications_not_understood": self._garbage,
        }


def _ignore(body: bytes) -> None:
    return None
