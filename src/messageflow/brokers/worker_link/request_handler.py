"""What the requests of workers ask of the broker, and their answers.

A request that has nothing to wait for is answered where it is read, and one that waits goes on in the step that ends
the wait: neither takes a task. Owns the surveys under way, never a link.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from messageflow.brokers.base import Stored
from messageflow.brokers.eager import run_without_task
from messageflow.brokers.local import LocalBroker
from messageflow.brokers.worker_link import messages as m
from messageflow.brokers.worker_link.framing import LARGEST
from messageflow.brokers.worker_link.link_connection import LinkConnection
from messageflow.brokers.worker_link.survey import Surveys
from messageflow.brokers.worker_link.worker_outbox import WorkerOutbox
from messageflow.core.channels import DEATHS
from messageflow.core.stream import Item
from messageflow.errors import BrokerError


class RequestHandler:
    """Carries out requests.

    Args:
        broker: is asked.
        outboxes: of all workers, by node.
        on_question: answers questions to all nodes on behalf of this process.
        spawn: makes a task of what has to wait in a way that takes one.
    """

    def __init__(
        self,
        broker: LocalBroker,
        outboxes: Mapping[str, WorkerOutbox],
        on_question: Callable[[bytes], bytes],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._broker = broker
        self._outboxes = outboxes
        self._on_question = on_question
        self._spawn = spawn
        self._surveys = Surveys()

    def carry_out(self, connection: LinkConnection, outbox: WorkerOutbox, number: int, request: m.Call) -> None:
        """Carry out a request of a worker and answer it, now or later."""
        kind = type(request)
        if isinstance(request, m.PublishItems) and len(request.items) == 1:
            self._store_one(connection, outbox, number, request.items[0])
        elif (do := _AT_ONCE.get(kind)) is not None:
            try:
                answer = do(self, outbox, request)
            except BrokerError as error:
                self.reply(connection, outbox, m.encode_failure(number, error))
            else:
                if number != m.NO_ANSWER:
                    self.reply(connection, outbox, m.encode_answer(number, answer))
        else:
            run_without_task(self._answer(connection, outbox, number, _WAITING[kind](self, request)), self._spawn)

    async def _answer(
        self, connection: LinkConnection, outbox: WorkerOutbox, number: int, work: Coroutine[Any, Any, bytes]
    ) -> None:
        try:
            answer = m.encode_answer(number, await work)
        except BrokerError as error:
            answer = m.encode_failure(number, error)
        self.reply(connection, outbox, answer)

    def reply(self, connection: LinkConnection, outbox: WorkerOutbox | None, answer: bytes) -> None:
        """Send an answer, if who asked is still there."""
        if len(answer) > LARGEST:
            number, body = m.read_numbered(answer)
            too_large = BrokerError(f"an answer of {len(body)} bytes is larger than any may be: ask for less")
            answer = m.encode_failure(number, too_large)
        if outbox is None:
            connection.send(answer)
        elif outbox.connection is connection:
            outbox.tell(answer)

    # What is carried out at once

    def _subscribe(self, outbox: WorkerOutbox, request: m.ChangeSubscriptions) -> bytes:
        """A worker wants channels, or wants them no longer."""
        positions = []
        for channel in request.wanted:
            outbox.channels.add(channel)
            positions.append(self._broker.subscribe_now(channel))
        for channel in request.unwanted:
            outbox.channels.discard(channel)
            self.end_unwanted(channel)
        return m.encode(positions)

    def end_unwanted(self, channel: str) -> None:
        """Have a channel delivered no longer if no worker wants it, nor will when it has a link again."""
        if channel not in DEATHS and not any(channel in outbox.channels for outbox in self._outboxes.values()):
            self._broker.unsubscribe(channel)

    def _join(self, outbox: WorkerOutbox, request: m.Join) -> bytes:
        info = m.decode_info(request.info)
        self._broker.enter(outbox.node, request.channel, info, keep=request.keep, tell=request.tell)
        return b""

    def _enter(self, outbox: WorkerOutbox, request: m.Enter) -> bytes:
        channel = request.channel
        self._broker.enter(outbox.node, channel, m.decode_info(request.info), keep=request.keep, tell=request.tell)
        outbox.channels.add(channel)
        return m.encode([self._broker.subscribe_now(channel)])

    def _leave(self, outbox: WorkerOutbox, request: m.Leave) -> bytes:
        self._broker.exit(request.channel, m.decode_info(request.info), tell=request.tell)
        return b""

    def _reserve(self, outbox: WorkerOutbox, request: m.Reserve) -> bytes:
        return m.encode(self._broker.reserve_now(outbox.node, request.user, request.key, request.age))

    def _settle(self, outbox: WorkerOutbox, request: m.Settle) -> bytes:
        self._broker.settle_now(request.user, request.key, request.outcome)
        return b""

    def _report(self, outbox: WorkerOutbox, request: m.Report) -> bytes:
        self._surveys.report(request.survey, outbox.node, request.answer)
        return b""

    def _note_alive(self, outbox: WorkerOutbox, request: m.Alive) -> bytes:
        outbox.note_taken(request.taken)
        return m.encode(self._broker.trouble)

    # What is stored without a coroutine: what backends push (benchmarks: workers)

    def _store_one(self, connection: LinkConnection, outbox: WorkerOutbox, number: int, item: Item) -> None:
        def end(stored: Stored, error: BrokerError | None) -> None:
            answer = m.encode_answer(number, m.encode([stored])) if error is None else m.encode_failure(number, error)
            self.reply(connection, outbox, answer)

        try:
            stored = self._broker.publish_now(item, end)
        except BrokerError as error:
            self.reply(connection, outbox, m.encode_failure(number, error))
        else:
            if stored is not None:
                end(stored, None)

    # What may wait

    async def _store(self, request: m.PublishItems) -> bytes:
        return m.encode(await self._broker.publish(request.items))

    async def _read_since(self, request: m.Since) -> bytes:
        channel, position, limit, size = request.channel, request.position, request.limit, request.size
        return m.encode(await self._broker.read_since(channel, position, limit, size))

    async def _read_page(self, request: m.ReadPage) -> bytes:
        read = self._broker.read_page
        page = await read(request.channel, request.offset, request.limit, request.size, reverse=request.reverse)
        return m.encode(page)

    async def _remove(self, request: m.Remove) -> bytes:
        await self._broker.remove_history(request.channel)
        return b""

    async def _read_presence(self, request: m.Who) -> bytes:
        return m.encode_json(await self._broker.read_presence(request.channel))

    async def _count_presence(self, request: m.HowMany) -> bytes:
        return m.encode(await self._broker.count_presence(request.channel))

    async def _find_occupied(self, request: m.Occupied) -> bytes:
        return m.encode(await self._broker.find_occupied(request.channels))

    async def _send_control(self, request: m.Tell) -> bytes:
        await self._broker.send_control(request.message)
        return b""

    async def _survey(self, request: m.Survey) -> bytes:
        """Ask every worker that has a link."""
        asked = [outbox for outbox in self._outboxes.values() if outbox.connection is not None]
        number = self._surveys.begin(outbox.node for outbox in asked)
        for outbox in asked:
            outbox.tell(m.encode_question(number, request.question))
        given = await self._surveys.gather(number)
        own = self._on_question(request.question)
        return m.encode([own, *given] if own else given)


_AT_ONCE: dict[type[m.Call], Callable[[RequestHandler, WorkerOutbox, Any], bytes]] = {
    m.ChangeSubscriptions: RequestHandler._subscribe,
    m.Join: RequestHandler._join,
    m.Enter: RequestHandler._enter,
    m.Leave: RequestHandler._leave,
    m.Reserve: RequestHandler._reserve,
    m.Settle: RequestHandler._settle,
    m.Report: RequestHandler._report,
    m.Alive: RequestHandler._note_alive,
}
_WAITING: dict[type[m.Call], Callable[[RequestHandler, Any], Coroutine[Any, Any, bytes]]] = {
    m.PublishItems: RequestHandler._store,
    m.Since: RequestHandler._read_since,
    m.ReadPage: RequestHandler._read_page,
    m.Remove: RequestHandler._remove,
    m.Who: RequestHandler._read_presence,
    m.HowMany: RequestHandler._count_presence,
    m.Occupied: RequestHandler._find_occupied,
    m.Tell: RequestHandler._send_control,
    m.Survey: RequestHandler._survey,
}
