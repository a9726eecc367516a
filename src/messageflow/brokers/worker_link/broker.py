"""A worker's side of the broker that its parent process serves: requests over a DEALER, publications over a PULL.

A subscription is a request like any other (`subscription_requests`), so it counts once it is answered. When
publications were missed, or the worker had to connect anew, the hub is told to compare its positions; what is missing
it reads from the history. A worker connects anew when the other side does not know it, has not confirmed a subscription
in time, or is not heard any more; until then it is in trouble, and says so. Owns its requests and who of it is present,
never a stream.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
import zmq

from messageflow.brokers.base import HistoryPart, Item, Sink, Stored
from messageflow.brokers.worker_link import messages as m
from messageflow.brokers.worker_link.loop_socket import LoopSocket
from messageflow.brokers.worker_link.subscription_requests import RETRY, SubscriptionRequests
from messageflow.core.backoff import Backoff
from messageflow.core.presence import PresenceCounts
from messageflow.core.protocol import ClientInfo
from messageflow.core.stream import Position
from messageflow.errors import BrokerError, Unanswered, Unavailable

log = logging.getLogger("messageflow.broker")

T = TypeVar("T")

DEADLINE = 5.0  # seconds the parent has to answer
ALIVE_EVERY = 2.0  # seconds between signs of life
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 2.0  # seconds after one that failed
QUIET = 3  # signs of life that were answered while nothing came over the link: it is not heard any more
AT_ONCE = 1000  # channels in one request


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
        self._asked: dict[bytes, tuple[asyncio.Future[bytes], asyncio.TimerHandle]] = {}
        self._number = 0
        self._subscriptions = SubscriptionRequests(self._send, deadline, self._mark_lost)
        self._publications: LoopSocket | None = None
        self._welcomed: asyncio.Future[None] | None = None  # done once the newest link is heard
        self._present: dict[tuple[str, str], bytes] = {}  # who of this worker is in presence, as JSON
        self._sink: Sink | None = None
        self._trouble = ""
        self._lost = ""  # why the link has to be made anew
        self._losing = asyncio.Event()
        self._quiet = 0
        self._severed = ""
        self._keeping_alive: asyncio.Task[None] | None = None
        self._missed = 0
        self._begun_anew = 0
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
        self._requests = LoopSocket(self._context, zmq.DEALER, self._take_answer)
        self._requests.socket.set(zmq.ROUTING_ID, self._node.encode())
        self._requests.socket.connect(self._address)
        try:
            await self._connect()
        except BaseException:
            await self._release()
            raise
        self._sink = sink
        self._keeping_alive = self._loop.create_task(self._keep_alive(), name="keep-alive")

    async def _connect(self) -> None:
        """Make the server's acquaintance, and hear it on a link of this worker's own.

        Raises:
            BrokerError: it does not answer, or is not heard there.
        """
        address = await self._ask(m.Hello(self._node), m.decode_text)
        if self._publications is not None:
            self._publications.close()
        self._welcomed = self._loop.create_future()
        self._publications = LoopSocket(self._context, zmq.PULL, self._receive)
        self._publications.socket.connect(address)
        try:
            async with asyncio.timeout(self._deadline):
                await self._welcomed
        except TimeoutError:
            raise BrokerError(f"the parent process is not heard within {self._deadline:g} s") from None

    async def _reconnect(self) -> None:
        """Come back with all this worker had."""
        log.warning("begins_anew", extra={"channels": len(self._subscriptions.channels), "reason": self._lost})
        self._begun_anew += 1
        await self._connect()
        self._losing.clear()
        channels = tuple(self._subscriptions.channels)
        for start in range(0, len(channels), AT_ONCE):
            wanted = [name for name in channels[start : start + AT_ONCE] if name in self._subscriptions.channels]
            await self._ask(m.ChangeSubscriptions(wanted, []), _ignore)
        self._subscriptions.resume()
        for key in tuple(self._present):
            if (info := self._present.get(key)) is None:  # as it is now: it may have been replaced meanwhile
                continue
            await self._ask(m.Join(key[0], info, keep=True, tell=False), _ignore)
            if key not in self._present:  # they left meanwhile
                await self._ask(m.Leave(key[0], info, tell=False), _ignore)
        if not self._losing.is_set():  # and not lost again meanwhile
            self._lost = ""
        if self._sink is not None:
            self._sink.on_doubt()

    def _mark_lost(self, why: str) -> None:
        """The server may not know what this worker wants, or not be heard: begin anew, at once."""
        self._lost = self._trouble = why
        self._losing.set()

    async def close(self) -> None:
        self._sink = None
        self._subscriptions.close()
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
        for answer, _ in self._asked.values():
            if not answer.done():
                answer.set_exception(Unanswered(why))

    @property
    def trouble(self) -> str:
        return self._trouble

    async def _keep_alive(self) -> None:
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE, random.random)
        while True:
            try:
                if self._lost:
                    await self._reconnect()
                trouble = await self._ask(m.Alive(), m.decode_text)
                if not self._lost:
                    self._trouble = trouble
                self._check_link()
                backoff.reset()
            except m.NotKnown as error:
                self._mark_lost(str(error))
                continue
            except (BrokerError, zmq.ZMQError) as error:
                self._trouble = str(error)
                log.error("broker_silent", extra={"error": str(error)})
                await asyncio.sleep(backoff.fail())
                continue
            try:
                async with asyncio.timeout(ALIVE_EVERY):
                    await self._losing.wait()
            except TimeoutError:
                pass

    def _check_link(self) -> None:
        """A sign of life was answered, which the server also does on the link; find out when that is not heard."""
        self._quiet += 1
        if self._quiet > QUIET:
            self._quiet = 0
            self._mark_lost("the parent process answers, but its publications do not arrive")

    # Requests

    async def publish(self, items: Sequence[Item]) -> list[Stored]:
        return await self._ask(m.PublishItems(list(items)), m.decode_stored)

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
        while True:  # who has left must not stay present because there was no room to say so
            try:
                return await self._ask(left, _ignore)
            except m.NotKnown:
                return None  # and so of nobody of this worker, who begins anew without them
            except Unavailable:
                if self._severed:
                    raise
            await asyncio.sleep(RETRY)

    async def read_presence(self, channel: str) -> dict[str, ClientInfo]:
        return await self._ask(m.Who(channel), m.decode_presence)

    async def count_presence(self, channel: str) -> PresenceCounts:
        return await self._ask(m.HowMany(channel), m.decode_stats)

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
        return read(m.read_answer(await self._send(request)))

    def _send(self, request: m.Request) -> asyncio.Future[bytes]:
        """Send a request and return its answer to come, which is `Unanswered` when it is overdue.

        Raises:
            Unavailable: it could not be sent.
        """
        if self._severed:
            raise Unavailable(self._severed)
        self._number += 1
        number = self._number.to_bytes(8, "big")
        if not self._requests.send([number, m.encode(request)]):
            raise Unavailable("too many requests wait for the parent process: nothing was sent")
        answer: asyncio.Future[bytes] = self._loop.create_future()
        self._asked[number] = answer, self._loop.call_later(self._deadline, self._give_up, number)
        return answer

    def _give_up(self, number: bytes) -> None:
        answer, _ = self._asked.pop(number)
        if not answer.done():
            self._unanswered += 1
            answer.set_exception(Unanswered(f"the parent process did not answer within {self._deadline:g} s"))

    def _take_answer(self, frames: list[bytes]) -> None:
        answer, overdue = self._asked.pop(frames[0], (None, None))
        if overdue is not None:
            overdue.cancel()
        if answer is not None and not answer.done():
            answer.set_result(frames[1])

    # Publications

    async def subscribe(self, channel: str) -> None:
        await self._subscriptions.add(channel)

    def unsubscribe(self, channel: str) -> None:
        self._subscriptions.discard(channel)

    def _receive(self, frames: list[bytes]) -> None:
        self._quiet = 0
        try:
            topic, body = frames
            self._take(topic, body)
        except (ValueError, msgspec.MsgspecError) as error:
            self._garbage += 1
            log.error("publication_not_understood", extra={"error": str(error)})

    def _take(self, topic: bytes, body: bytes) -> None:
        kind = body[:1]
        if kind == m.WELCOME:
            self._note_welcome()
        elif self._sink is None:
            return
        elif kind == m.PUBLISHED:
            self._sink.on_publication(m.decode_topic(topic), *m.read_published(body))
        elif kind == m.CONTROL:
            self._sink.on_control(body[1:])
        elif kind == m.ASKED:
            survey, question = m.read_question(body)
            report = m.Report(survey, self._sink.on_question(question))
            self._requests.send([b"report", m.encode(report)])
        elif kind == m.BEAT:
            return
        elif kind == m.MISSED:
            self._missed += 1
            self._sink.on_doubt()
        else:
            self._sink.on_presence(m.decode_topic(topic), m.read_presence_push(body))

    def _note_welcome(self) -> None:
        if self._welcomed is not None and not self._welcomed.done():
            self._welcomed.set_result(None)

    def statistics(self) -> dict[str, float]:
        return {
            "requests_waiting": len(self._asked),
            "requests_unanswered": self._unanswered,
            "times_missed": self._missed,
            "times_begun_anew": self._begun_anew,
            "publications_not_understood": self._garbage,
        }


def _ignore(body: bytes) -> None:
    return None
