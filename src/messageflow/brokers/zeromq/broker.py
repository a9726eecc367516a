"""A worker's side of the broker that its parent process serves: requests over a DEALER, publications over an XSUB.

A subscription counts once the other side has confirmed it. When the link says that something was missed, or had to be
made anew, the hub is told to compare its positions; what is missing it reads from the history.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
import zmq

from messageflow.brokers.base import History, Item, Sink, Stored
from messageflow.brokers.zeromq import messages as m
from messageflow.brokers.zeromq.sockets import LoopSocket
from messageflow.core.presence import PresenceStats
from messageflow.core.protocol import ClientInfo
from messageflow.core.stream import Position
from messageflow.errors import BrokerError, NoRoom, Unanswered, Unavailable, Unrecoverable

log = logging.getLogger("messageflow.broker")

T = TypeVar("T")

DEADLINE = 5.0  # seconds the parent has to answer
ALIVE_EVERY = 2.0  # seconds between signs of life
AT_ONCE = 500  # subscriptions that wait for their confirmation together

_ERRORS: dict[str, type[BrokerError]] = {"unrecoverable": Unrecoverable, "no_room": NoRoom, "not_known": m.NotKnown}


class ZeroMQBroker:
    """The contract of `brokers.base.Broker`, carried out by a `BrokerServer`.

    Args:
        address: of its requests.
        node: this worker's name, unique among all that ever were.
        deadline: seconds the server has to answer a request.
    """

    def __init__(self, address: str, node: str, deadline: float = DEADLINE) -> None:
        self._address = address
        self._node = node
        self._deadline = deadline
        self._asked: dict[bytes, asyncio.Future[bytes]] = {}
        self._number = 0
        self._unconfirmed: dict[bytes, deque[asyncio.Future[None]]] = {}
        self._publications: LoopSocket | None = None
        self._channels: set[str] = set()
        self._present: dict[tuple[str, str], bytes] = {}  # who of this worker is in presence, as JSON
        self._sink: Sink | None = None
        self._trouble = ""
        self._severed = ""
        self._keeping_alive: asyncio.Task[None] | None = None
        self._missed = 0
        self._unanswered = 0
        self._garbage = 0

    # Life

    async def start(self, sink: Sink) -> None:
        """Begin at the server, and deliver to `sink` from now on.

        Raises:
            BrokerError: it does not answer.
        """
        self._loop = asyncio.get_running_loop()
        self._context = zmq.Context()
        self._requests = LoopSocket(self._context, zmq.DEALER, self._answered)
        self._requests.socket.set(zmq.ROUTING_ID, self._node.encode())
        self._requests.socket.connect(self._address)
        try:
            await self._begin()
        except BaseException:
            await self._release()
            raise
        self._sink = sink
        self._keeping_alive = self._loop.create_task(self._keep_alive(), name="keep-alive")

    async def _begin(self) -> list[asyncio.Future[None]]:
        """Make the server's acquaintance, and hear what it tells everybody.

        Returns:
            Who waits for a subscription on the link before, which confirms nothing any more.
        """
        address = await self._ask(m.Hello(self._node), m.decode_text)
        if self._publications is not None:
            self._publications.close()
        waiting = [future for futures in self._unconfirmed.values() for future in futures]
        self._unconfirmed.clear()
        self._publications = LoopSocket(self._context, zmq.XSUB, self._heard)
        self._publications.socket.connect(address)
        await self._confirm(m.EVERYBODY)
        return waiting

    async def _begin_anew(self) -> None:
        """The server took this worker for dead, as it was silent for long: come back with all it had."""
        log.warning("begins_anew", extra={"channels": len(self._channels)})
        waiting = await self._begin()
        channels = tuple(self._channels)
        for start in range(0, len(channels), AT_ONCE):
            await asyncio.gather(*(self._confirm(m.topic(channel)) for channel in channels[start : start + AT_ONCE]))
        for future in waiting:
            if not future.done():
                future.set_result(None)  # its channel was among them
        for key, info in tuple(self._present.items()):
            if key in self._present:
                await self._ask(m.Join(key[0], info, keep=True, tell=False), _nothing)
            if key not in self._present:  # he left meanwhile
                await self._ask(m.Leave(key[0], info, tell=False), _nothing)
        if self._sink is not None:
            self._sink.on_doubt()

    async def close(self) -> None:
        self._sink = None
        if self._keeping_alive is not None:
            self._keeping_alive.cancel()
            await asyncio.wait([self._keeping_alive])
            await self._release()

    async def _release(self) -> None:
        if self._publications is not None:
            self._publications.close()
        self._requests.close()
        await self._loop.run_in_executor(None, self._context.term)

    def sever(self, why: str) -> None:
        """The server is gone for good: what was asked is not answered, and nothing more is asked."""
        self._severed = why
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(Unanswered(why))

    @property
    def trouble(self) -> str:
        return self._trouble

    async def _keep_alive(self) -> None:
        known = True
        while True:
            try:
                if not known:
                    await self._begin_anew()
                    known = True
                self._trouble = await self._ask(m.Alive(), m.decode_text)
            except m.NotKnown:
                known = False
                continue
            except BrokerError as error:
                self._trouble = str(error)
                log.error("broker_silent", extra={"error": str(error)})
            await asyncio.sleep(ALIVE_EVERY)

    # Requests

    async def publish(self, items: Sequence[Item]) -> list[Stored]:
        return await self._ask(m.Publish(list(items)), m.decode_stored)

    async def since(self, channel: str, position: Position, limit: int | None = None) -> History:
        return await self._ask(m.Since(channel, position, limit), m.decode_history)

    async def page(self, channel: str, offset: int | None = None, limit: int = 0, *, reverse: bool = False) -> History:
        return await self._ask(m.Page(channel, offset, limit, reverse), m.decode_history)

    async def remove_history(self, channel: str) -> None:
        await self._ask(m.Remove(channel), _nothing)

    async def join(self, channel: str, info: ClientInfo, *, keep: bool, tell: bool) -> None:
        encoded = m.encode_json(info)
        if keep:
            self._present[channel, info.client] = encoded
        await self._ask(m.Join(channel, encoded, keep, tell), _nothing)

    async def leave(self, channel: str, info: ClientInfo, *, tell: bool) -> None:
        self._present.pop((channel, info.client), None)
        await self._ask(m.Leave(channel, m.encode_json(info), tell), _nothing)

    async def presence(self, channel: str) -> dict[str, ClientInfo]:
        return await self._ask(m.Who(channel), m.decode_presence)

    async def presence_stats(self, channel: str) -> PresenceStats:
        return await self._ask(m.HowMany(channel), m.decode_stats)

    async def control(self, message: bytes) -> None:
        await self._ask(m.Tell(message), _nothing)

    async def survey(self, question: bytes) -> list[bytes]:
        return await self._ask(m.Survey(question), m.decode_answers)

    async def _ask(self, request: m.Request, read: Callable[[bytes], T]) -> T:
        """Return the answer to a request.

        Raises:
            Unanswered: there was none in time; whether it was carried out is not known.
            BrokerError: it could not be carried out, or not be sent.
        """
        if self._severed:
            raise Unavailable(self._severed)
        self._number += 1
        number = self._number.to_bytes(8, "big")
        if not self._requests.send([number, m.encode(request)]):
            raise Unavailable("too many requests wait for the parent process: nothing was sent")
        answer = self._asked[number] = self._loop.create_future()
        overdue = self._loop.call_later(self._deadline, self._give_up, number)
        try:
            body = await answer
        finally:
            overdue.cancel()
            self._asked.pop(number, None)
        if body[:1] == m.OK:
            return read(body[1:])
        failed = m.decode_failure(body[1:])
        raise _ERRORS.get(failed.kind, BrokerError)(failed.text)

    def _give_up(self, number: bytes) -> None:
        answer = self._asked.pop(number, None)
        if answer is not None and not answer.done():
            self._unanswered += 1
            answer.set_exception(Unanswered(f"the parent process did not answer within {self._deadline:g} s"))

    def _answered(self, frames: list[bytes]) -> None:
        answer = self._asked.pop(frames[0], None)
        if answer is not None and not answer.done():
            answer.set_result(frames[1])

    # Publications

    async def subscribe(self, channel: str) -> None:
        self._channels.add(channel)
        await self._confirm(m.topic(channel))

    def unsubscribe(self, channel: str) -> None:
        self._channels.discard(channel)
        if self._publications is not None and not self._publications.send([b"\0" + m.topic(channel)]):
            log.warning("unsubscribe_not_sent", extra={"channel": channel})  # what still comes is dropped by the hub

    async def _confirm(self, topic: bytes) -> None:
        """Subscribe to a topic, and return once the other side has said so."""
        confirmed = self._loop.create_future()
        self._unconfirmed.setdefault(topic, deque()).append(confirmed)
        if self._publications is None or not self._publications.send([b"\1" + topic]):
            raise Unavailable("too many subscriptions wait for the parent process")
        try:
            async with asyncio.timeout(self._deadline):
                await confirmed
        except TimeoutError:
            raise BrokerError(
                f"the parent process did not confirm a subscription within {self._deadline:g} s"
            ) from None

    def _heard(self, frames: list[bytes]) -> None:
        try:
            topic, body = frames
            self._take(topic, body)
        except (ValueError, msgspec.MsgspecError) as error:
            self._garbage += 1
            log.error("publication_not_understood", extra={"error": str(error)})

    def _take(self, topic: bytes, body: bytes) -> None:
        kind = body[:1]
        if kind == m.SUBSCRIBED:
            self._confirmed(topic)
        elif self._sink is None:
            return
        elif kind == m.PUBLISHED:
            self._sink.on_publication(m.channel_of(topic), *m.read_published(body))
        elif kind == m.CONTROL:
            self._sink.on_control(body[1:])
        elif kind == m.ASKED:
            survey, question = m.read_asked(body)
            report = m.Report(survey, self._sink.on_question(question))
            self._requests.send([b"report", m.encode(report)])
        elif kind == m.MISSED:
            self._missed += 1
            self._sink.on_doubt()
        else:
            self._sink.on_presence(m.channel_of(topic), m.read_told(body))

    def _confirmed(self, topic: bytes) -> None:
        """A subscription stands. They are confirmed in the order in which they were made."""
        waiting = self._unconfirmed.get(topic)
        if not waiting:
            return
        first = waiting.popleft()
        if not waiting:
            del self._unconfirmed[topic]
        if not first.done():
            first.set_result(None)

    def statistics(self) -> dict[str, float]:
        return {
            "requests_waiting": len(self._asked),
            "requests_unanswered": self._unanswered,
            "times_missed": self._missed,
            "publications_not_understood": self._garbage,
        }


def _nothing(body: bytes) -> None:
    return None
