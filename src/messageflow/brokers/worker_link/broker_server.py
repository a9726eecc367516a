"""The broker of several workers: it serves a local broker, in the parent process, to workers over ZeroMQ.

Requests come to one ROUTER; each worker hears publications on a PUSH of its own, so that one that stalls is known,
costs only itself, and learns that it missed something. Everything lies in a directory that only this user may enter.
Owns the outboxes of the workers and the surveys under way, never a stream.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import zmq

from messageflow.brokers.local import LocalBroker
from messageflow.brokers.worker_link import messages as m
from messageflow.brokers.worker_link.loop_socket import LoopSocket
from messageflow.brokers.worker_link.socket_directory import SocketDirectory
from messageflow.brokers.worker_link.worker_outbox import WorkerOutbox
from messageflow.core.protocol import Joined, Left
from messageflow.core.stream import Publication
from messageflow.errors import BrokerError, ConfigurationError

log = logging.getLogger("messageflow.broker")

SETTLE_EVERY = 0.02  # seconds between attempts to send a worker what it is owed
SURVEY_SECONDS = 1.0
STALLED = 1.0  # seconds between two looks after which this process must have been frozen
ABSENT_LIMIT = 10_000  # decisions kept for a worker that is silent and may come back
SILENCE = 15.0  # seconds after which a worker that says nothing is gone


class SurveyUnderWay:
    """One survey under way: which workers are still to answer, and what the others said."""

    def __init__(self, awaited: set[bytes], complete: asyncio.Event) -> None:
        self.awaited = awaited
        self.complete = complete
        self.given: list[bytes] = []


class BrokerServer:
    """Serves `broker` to workers. It is the broker's sink.

    Args:
        broker: keeps the streams; the server starts and closes it.
        directory: for the sockets.
        on_question: answers questions to all nodes on behalf of this process; empty where it has no answer.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        broker: LocalBroker,
        directory: SocketDirectory,
        on_question: Callable[[bytes], bytes] = lambda question: b"",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._answer_for_all = on_question
        self._broker = broker
        self._directory = directory
        self._clock = clock
        self._outboxes: dict[bytes, WorkerOutbox] = {}  # by the identity of the worker's DEALER
        self._made = 0
        self._absent: dict[str, deque[list[bytes]]] = {}  # what was decided while a silent worker is away
        self._surveys = 0
        self._open_surveys: dict[int, SurveyUnderWay] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """Where workers send their requests."""
        return f"ipc://{self._directory.requests}"

    def keep_reachable(self) -> None:
        """See to it that a worker that comes finds what it needs, also when the sockets' directory was removed.

        Raises:
            ConfigurationError: there is no place for another.
        """
        if not self._directory.is_whole():
            log.warning("sockets_removed", extra={"directory": self._directory.path})
            self._open()

    def _open(self) -> None:
        self._directory.make()
        self._requests.socket.bind(self.address)

    @property
    def trouble(self) -> str:
        """Why no work should be given to the workers; empty while all is well."""
        return self._broker.trouble

    async def start(self) -> None:
        """Open the broker and take requests.

        Raises:
            ConfigurationError: the broker cannot be opened, or there is no place for the sockets.
        """
        await self._broker.start(self)
        self._context = zmq.Context()
        self._requests = LoopSocket(self._context, zmq.ROUTER, self._request)
        self._requests.socket.set(zmq.ROUTER_HANDOVER, 1)
        self._requests.socket.set(zmq.ROUTER_MANDATORY, 1)  # when there is no room for an answer, say so
        try:
            self._open()
        except BaseException:
            await self.close()
            raise
        self._spawn(self._tend(), name="tend")

    async def close(self) -> None:
        """Finish what was accepted, then release everything."""
        for task in tuple(self._tasks):
            if task.get_name() == "tend":
                task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._broker.close()
        for outbox in self._outboxes.values():
            outbox.close()
        self._requests.close()
        await asyncio.get_running_loop().run_in_executor(None, self._context.term)

    # From the broker

    def on_publication(self, channel: str, epoch: str, publication: Publication) -> None:
        frames = [m.encode_topic(channel), m.encode_published(epoch, publication)]
        for outbox in self._outboxes.values():
            if channel in outbox.channels:
                outbox.publish(frames)

    def on_presence(self, channel: str, push: Joined | Left) -> None:
        frames = [m.encode_topic(channel), m.encode_presence_push(push)]
        for outbox in self._outboxes.values():
            if channel in outbox.channels:
                outbox.publish(frames)

    def on_control(self, message: bytes) -> None:
        frames = [m.EVERYBODY, m.CONTROL + message]
        for outbox in self._outboxes.values():
            outbox.tell_decision(frames, self._clock())
        for missed in self._absent.values():
            missed.append(frames)

    def on_question(self, question: bytes) -> bytes:
        return self._answer_for_all(question)

    def on_doubt(self) -> None:
        for outbox in self._outboxes.values():
            outbox.tell([m.EVERYBODY, m.MISSED])

    # From the workers

    def _request(self, frames: list[bytes]) -> None:
        if len(frames) != 3:
            log.error("request_not_understood", extra={"frames": len(frames)})
            return
        identity, number, body = frames
        outbox = self._outboxes.get(identity)
        if outbox is not None:
            outbox.note_heard(self._clock())
        try:
            request = m.decode_request(body)
        except msgspec.MsgspecError as error:
            log.error("request_not_understood", extra={"error": str(error)})
            failed = BrokerError(f"the request was not understood: {error}")
            self._reply(identity, number, m.encode_failure(failed))
            return
        if isinstance(request, m.Hello | m.ChangeSubscriptions):
            self._reply(identity, number, self._carry_out_now(identity, request))
        else:
            self._spawn(self._answer(identity, number, request))

    def _carry_out_now(self, identity: bytes, request: m.Hello | m.ChangeSubscriptions) -> bytes:
        """Carry out what keeps its order, and return the answer."""
        try:
            if isinstance(request, m.Hello):
                return m.OK + m.encode(self._welcome(identity, request.node))
            self._subscribe(self._outbox(identity), request)
        except BrokerError as error:
            return m.encode_failure(error)
        return m.OK

    async def _answer(self, identity: bytes, number: bytes, request: m.Call) -> None:
        try:
            answer = m.OK + await self._carry_out(identity, request)
        except BrokerError as error:
            answer = m.encode_failure(error)
        self._reply(identity, number, answer)

    def _reply(self, identity: bytes, number: bytes, answer: bytes) -> None:
        outbox = self._outboxes.get(identity)
        if outbox is not None:
            outbox.answer(number, answer)
        else:
            self._requests.send([identity, number, answer])

    def _outbox(self, identity: bytes) -> WorkerOutbox:
        outbox = self._outboxes.get(identity)
        if outbox is None:
            raise m.NotKnown("the worker was taken for dead and has not begun anew yet")
        return outbox

    async def _carry_out(self, identity: bytes, request: m.Call) -> bytes:
        outbox = self._outbox(identity)
        broker = self._broker
        match request:
            case m.PublishItems(items):
                return m.encode(await broker.publish(items))
            case m.Since(channel, position, limit, size):
                return m.encode(await broker.read_since(channel, position, limit, size))
            case m.ReadPage(channel, offset, limit, size, reverse):
                return m.encode(await broker.read_page(channel, offset, limit, size, reverse=reverse))
            case m.Remove(channel):
                await broker.remove_history(channel)
            case m.Tell(message):
                await broker.send_control(message)
            case m.Survey(question):
                return m.encode(await self._survey(question))
            case m.Report(survey, answer):
                self._report(survey, identity, answer)
            case m.Alive():
                outbox.beat()
                return m.encode(broker.trouble)
            case _:
                return await self._about_presence(outbox.node, request)
        return b""

    async def _about_presence(self, node: str, request: m.Join | m.Leave | m.Who | m.HowMany) -> bytes:
        broker = self._broker
        match request:
            case m.Join(channel, info, keep, tell):
                broker.enter(node, channel, m.decode_info(info), keep=keep, tell=tell)
            case m.Leave(channel, info, tell):
                broker.exit(channel, m.decode_info(info), tell=tell)
            case m.Who(channel):
                return m.encode_json(await broker.read_presence(channel))
            case m.HowMany(channel):
                return m.encode(await broker.count_presence(channel))
        return b""

    async def _survey(self, question: bytes) -> list[bytes]:
        """Ask every worker that has said hello; one that is silent is not waited for long."""
        self._surveys += 1
        survey = self._open_surveys[self._surveys] = SurveyUnderWay(set(self._outboxes), asyncio.Event())
        for outbox in self._outboxes.values():
            outbox.tell([m.EVERYBODY, m.encode_question(self._surveys, question)])
        try:
            async with asyncio.timeout(SURVEY_SECONDS):
                await survey.complete.wait()
        except TimeoutError:
            log.warning("survey_incomplete", extra={"missing": len(survey.awaited)})
        finally:
            self._open_surveys = {n: each for n, each in self._open_surveys.items() if each is not survey}
        own = self.on_question(question)
        return [own, *survey.given] if own else survey.given

    def _report(self, number: int, identity: bytes, answer: bytes) -> None:
        survey = self._open_surveys.get(number)
        if survey is not None and identity in survey.awaited:
            survey.awaited.discard(identity)
            survey.given.append(answer)
            if not survey.awaited:
                survey.complete.set()

    def _welcome(self, identity: bytes, node: str) -> str:
        """Make an outbox for a worker, and return the address where the worker hears it."""
        self._made += 1
        try:
            self.keep_reachable()
            address = f"ipc://{self._directory.path}/publications-{self._made}"
            outbox = WorkerOutbox(self._context, node, address, identity, self._requests)
        except (ConfigurationError, zmq.ZMQError) as error:
            raise BrokerError(f"the parent process cannot open a socket for this worker: {error}") from error
        outbox.heard = self._clock()
        before = self._outboxes.get(identity)
        self._outboxes[identity] = outbox
        decided = list(self._absent.pop(node, ()))
        if before is not None:  # it connects anew; it is still the worker it was
            decided = before.undecided
            self._release(before)
        for frames in decided:
            outbox.tell(frames)
        return address

    def _subscribe(self, outbox: WorkerOutbox, request: m.ChangeSubscriptions) -> None:
        """A worker wants channels, or wants them no longer."""
        for channel in request.wanted:
            outbox.channels.add(channel)
            self._broker.subscribe_now(channel)
        for channel in request.unwanted:
            outbox.channels.discard(channel)
            self._end_unwanted(channel)

    def _end_unwanted(self, channel: str) -> None:
        if not any(channel in outbox.channels for outbox in self._outboxes.values()):
            self._broker.unsubscribe(channel)

    def forget(self, node: str) -> None:
        """A worker has ended: nobody of its connections is present any more."""
        self._absent.pop(node, None)
        for identity in [identity for identity, outbox in self._outboxes.items() if outbox.node == node]:
            self._forget(identity)

    def _forget(self, identity: bytes) -> None:
        outbox = self._outboxes.pop(identity)
        self._release(outbox)
        self._broker.forget_node(outbox.node)

    def _release(self, outbox: WorkerOutbox) -> None:
        outbox.close()
        for channel in outbox.channels:
            self._end_unwanted(channel)
        log.info("worker_forgotten", extra={"node": outbox.node, "publications_dropped": outbox.dropped})

    # Tasks

    def _spawn(self, work: Coroutine[Any, Any, None], name: str | None = None) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._reap)

    def _reap(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task_failed", exc_info=error, extra={"task": task.get_name()})

    async def _tend(self) -> None:
        """Send workers what they are owed, and let go of those that say nothing any more."""
        before = self._clock()
        while True:
            await asyncio.sleep(SETTLE_EVERY)
            now = self._clock()
            for identity, outbox in tuple(self._outboxes.items()):
                if now - before > STALLED:
                    outbox.heard = now  # it is this process that was away: what they said is still to be read
                outbox.send_owed()
                if outbox.lost or outbox.heard < now - SILENCE:
                    log.error("worker_silent", extra={"node": outbox.node, "seconds": round(now - outbox.heard, 1)})
                    self._absent[outbox.node] = deque(outbox.undecided, maxlen=ABSENT_LIMIT)
                    self._forget(identity)
            before = now
