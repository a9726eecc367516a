"""The broker of several workers: it serves a local broker, in the parent process, to workers over their links.

Each worker has an outbox of its own, so that one that stalls is known, costs only itself, and learns that it missed
something. Owns the outboxes and the links, never a stream; what requests ask is `request_handler`'s.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from messageflow.brokers.local import LocalBroker
from messageflow.brokers.worker_link import messages as m
from messageflow.brokers.worker_link.link_connection import LinkConnection
from messageflow.brokers.worker_link.link_listener import LinkListener
from messageflow.brokers.worker_link.request_handler import RequestHandler
from messageflow.brokers.worker_link.socket_directory import SocketDirectory
from messageflow.brokers.worker_link.worker_outbox import DROP_BYTES, WorkerOutbox
from messageflow.core.channels import DEATHS
from messageflow.core.protocol import Joined, Left
from messageflow.core.stream import Publication
from messageflow.errors import BrokerError, ConfigurationError

log = logging.getLogger("messageflow.broker")

LOOK_EVERY = 0.5  # seconds between looks for who is silent, and whether the socket can be reached
STALLED = 2.0  # seconds between two looks after which this process must have been frozen
SILENCE = 15.0  # seconds after which a worker that says nothing is gone
HELLO_SECONDS = 5.0  # that one who comes has to say who it is
ENDED = 1000  # workers at most that are known to have ended
STRANGERS = 64  # links at most whose other end has not said who it is


class BrokerServer:
    """Serves `broker` to workers. It is the broker's sink, and the owner of the links.

    Args:
        broker: keeps the streams; the server starts and closes it.
        directory: for the socket.
        on_question: answers questions to all nodes on behalf of this process; empty where it has no answer.
        on_moved: called with the address when the socket had to be made anew; workers have to learn it.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        broker: LocalBroker,
        directory: SocketDirectory,
        on_question: Callable[[bytes], bytes] = lambda question: b"",
        on_moved: Callable[[str], None] = lambda address: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._answer_for_all = on_question
        self._on_moved = on_moved
        self._broker = broker
        self._listener = LinkListener(directory, self._accept)
        self._clock = clock
        self._strangers: dict[LinkConnection, float] = {}  # since when
        self._links: dict[LinkConnection, WorkerOutbox] = {}
        self._outboxes: dict[str, WorkerOutbox] = {}  # by node
        self._absent: dict[str, WorkerOutbox] = {}  # of workers that were silent for too long and may come back
        self._ended: deque[str] = deque(maxlen=ENDED)
        self._dropped = 0  # publications, for workers that are gone
        self._control = 0  # the number of the last decision
        self._tasks: set[asyncio.Task[None]] = set()
        self._handler = RequestHandler(broker, self._outboxes, on_question, self._spawn)

    @property
    def address(self) -> str:
        """The path workers connect to."""
        return self._listener.address

    def keep_reachable(self) -> None:
        """See to it that a worker that comes finds the socket, also when its directory was removed.

        Raises:
            ConfigurationError: there is no place for another.
        """
        if not self._listener.is_reachable():
            log.warning("sockets_removed", extra={"path": self.address})
            self._listener.open()
            self._on_moved(self.address)

    @property
    def trouble(self) -> str:
        """Why no work should be given to the workers; empty while all is well."""
        return self._broker.trouble

    async def start(self) -> None:
        """Open the broker and take requests.

        Raises:
            ConfigurationError: the broker cannot be opened, or there is no place for the socket.
        """
        await self._broker.start(self)
        for channel in DEATHS:
            self._broker.subscribe_now(channel)
        try:
            self._listener.open()
        except BaseException:
            await self.close()
            raise
        self._spawn(self._tend()).set_name("tend")

    async def close(self) -> None:
        """Finish what was accepted, then release everything."""
        self._listener.close()
        for task in tuple(self._tasks):
            if task.get_name() == "tend":
                task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._broker.close()
        for connection in (*self._strangers, *self._links):
            connection.close()

    def statistics(self) -> dict[str, float]:
        """Return the figures of the broker, and those of the links."""
        dropped = sum(outbox.dropped for outbox in self._outboxes.values())
        return self._broker.statistics() | {
            "links": len(self._links),
            "link_bytes_waiting": sum(connection.waiting for connection in self._links),
            "link_publications_dropped": self._dropped + dropped,
        }

    # From the broker

    def on_publication(self, channel: str, epoch: str, publication: Publication) -> None:
        self._publish(channel, m.encode_published(channel, epoch, publication))

    def on_presence(self, channel: str, push: Joined | Left) -> None:
        frame = m.encode_presence_push(channel, push)
        if channel in DEATHS:  # a worker died: who does not hear it now, as its link is lost, never would
            self._decide(m.encode_death, frame)
        else:
            self._publish(channel, frame)

    def _publish(self, channel: str, frame: bytes) -> None:
        for outbox in self._outboxes.values():
            if channel in outbox.channels:
                outbox.publish(frame)

    def on_control(self, message: bytes) -> None:
        self._decide(m.encode_control, message)

    def _decide(self, encode: Callable[[int, bytes], bytes], message: bytes) -> None:
        """Tell every worker what it must not miss, now or when it comes back."""
        self._control += 1
        frame = encode(self._control, message)
        for outbox in (*self._outboxes.values(), *self._absent.values()):
            outbox.tell_decision(self._control, frame)

    def on_question(self, question: bytes) -> bytes:
        return self._answer_for_all(question)

    def on_doubt(self) -> None:
        for outbox in self._outboxes.values():
            outbox.tell_missed()

    # From the links

    def _accept(self, link: socket.socket) -> None:
        self._spawn(self._take_in(link))

    async def _take_in(self, link: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: LinkConnection(self, DROP_BYTES), link)
        except OSError as error:
            link.close()
            log.error("worker_not_accepted", extra={"error": str(error)})

    def link_made(self, connection: LinkConnection) -> None:
        self._strangers[connection] = self._clock()
        if len(self._strangers) > STRANGERS:
            next(iter(self._strangers)).abort("too many come and do not say who they are")

    def link_frames(self, connection: LinkConnection, frames: list[bytes]) -> None:
        outbox = self._links.get(connection)
        if outbox is not None:
            outbox.heard = self._clock()
        for frame in frames:
            self._take(connection, frame)
            if connection.closed:
                return

    def link_room(self, connection: LinkConnection) -> None:
        outbox = self._links.get(connection)
        if outbox is not None and outbox.connection is connection:
            outbox.note_room()

    def link_lost(self, connection: LinkConnection, why: str) -> None:
        self._strangers.pop(connection, None)
        outbox = self._links.pop(connection, None)
        if outbox is not None and outbox.connection is connection:
            log.info("worker_link_lost", extra={"node": outbox.node, "why": why})
            self._detach(outbox)

    def _take(self, connection: LinkConnection, frame: bytes) -> None:
        try:
            number, body = m.read_request(frame)
        except ValueError as error:
            connection.abort(str(error))
            return
        outbox = self._links.get(connection)
        try:
            request = m.decode_request(body)
        except msgspec.MsgspecError as error:
            log.error("request_not_understood", extra={"error": str(error)})
            failed = BrokerError(f"the request was not understood: {error}")
            self._handler.reply(connection, outbox, m.encode_failure(number, failed))
            return
        if isinstance(request, m.Hello) and request.node in self._ended:
            connection.abort("its process has ended")
        elif isinstance(request, m.Hello):
            known = b"" if request.node in self._outboxes else m.FORGOTTEN
            self._handler.reply(connection, self._welcome(connection, request), m.encode_answer(number, known))
        elif outbox is None:
            connection.abort("it asks before it has said who it is")
        else:
            self._handler.carry_out(connection, outbox, number, request)

    # Who comes and goes

    def _welcome(self, connection: LinkConnection, hello: m.Hello) -> WorkerOutbox:
        """Give a worker its outbox: the one it had, if it comes back."""
        self._strangers.pop(connection, None)
        node = hello.node
        outbox = self._outboxes.get(node) or self._absent.pop(node, None) or WorkerOutbox(node, self._clock())
        if outbox.connection is not None:
            former = outbox.connection
            self._detach(outbox)
            former.abort("the worker has begun anew")
        outbox.heard = self._clock()
        self._outboxes[node] = outbox
        self._links[connection] = outbox
        outbox.attach(connection, hello.taken)
        return outbox

    def _detach(self, outbox: WorkerOutbox) -> None:
        """A worker has no link any more; it may come back, and those present through it stay so for a while."""
        outbox.connection = None
        channels, outbox.channels = outbox.channels, set()
        for channel in channels:
            self._handler.end_unwanted(channel)

    def note_ended(self, node: str) -> None:
        """A worker's process has ended. What it sent over a link that is yet to be accepted makes nobody of it."""
        self._ended.append(node)
        self.forget(node)

    def forget(self, node: str) -> None:
        """A worker is taken for dead: nobody of its connections is present any more, until it comes back."""
        self._absent.pop(node, None)
        if node in self._outboxes:
            self._forget(self._outboxes[node], "the worker was taken for dead")

    def _forget(self, outbox: WorkerOutbox, why: str) -> None:
        del self._outboxes[outbox.node]
        connection = outbox.connection
        self._detach(outbox)
        if connection is not None:
            connection.abort(why)
        self._broker.forget_node(outbox.node)
        self._dropped += outbox.dropped
        log.info("worker_forgotten", extra={"node": outbox.node, "publications_dropped": outbox.dropped})
        outbox.dropped = 0

    # Tasks

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._reap)
        return task

    def _reap(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task_failed", exc_info=error, extra={"task": task.get_name()})

    async def _tend(self) -> None:
        """Let go of those that say nothing any more, and stay reachable."""
        before = self._clock()
        while True:
            await asyncio.sleep(LOOK_EVERY)
            now = self._clock()
            if now - before > STALLED:  # it is this process that was away: what they said is still to be read
                for outbox in self._outboxes.values():
                    outbox.heard = now
            self._let_go_of_silent(now)
            try:
                self.keep_reachable()
            except ConfigurationError as error:
                log.error("sockets_removed", extra={"error": str(error)})
            before = now

    def _let_go_of_silent(self, now: float) -> None:
        for outbox in tuple(self._outboxes.values()):
            if outbox.heard < now - SILENCE:
                log.error("worker_silent", extra={"node": outbox.node, "seconds": round(now - outbox.heard, 1)})
                self._forget(outbox, "the worker was silent and is taken for dead")
                self._absent[outbox.node] = outbox
        for connection, since in tuple(self._strangers.items()):
            if since < now - HELLO_SECONDS:
                connection.abort("it did not say who it is")
