"""The connections that workers lend to their parent, see `lender`: backends that push to users one after another.

A request that is the same as the one it was lent with, but for the body, is carried out here, where the broker is, in
one step. With any other, and when nothing has come for a while, the connection goes back, to the worker that lent it
if that lives. So nothing is parsed here but a length, and no call is refused here: that is the worker's.

Owns those connections, `BORROWED_MOST` at most, for each costs this process more than its publications would.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from typing import cast

from messageflow.api.api import Api, ApiBroker
from messageflow.api.api_counters import ApiCounters
from messageflow.errors import BrokerError
from messageflow.gateway.front_door.response import JSON, HttpResponse
from messageflow.gateway.settings import Settings
from messageflow.gateway.workers.descriptor_channel import DescriptorChannel, make_pair
from messageflow.gateway.workers.worker_config import NO_LENDING

log = logging.getLogger("messageflow.gateway")

BORROWED_MOST = 4
METHOD = "push"
WRITTEN = 0.01  # seconds after which the kernel has an answer, unless its peer does not take it
IDLE = 1.0  # seconds without a request after which a connection goes back

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)(?=\r\n)", re.IGNORECASE)


class SameHead:
    """Heads that differ from one that was let in by nothing but the length of the body. Pure.

    Args:
        head: with one Content-Length.
    """

    __slots__ = ("_after", "_before")

    def __init__(self, head: bytes) -> None:
        found = _LENGTH.search(head)
        start, end = found.span(1) if found is not None else (len(head), len(head))
        self._before, self._after = head[:start], head[end:]

    def read_length(self, head: bytes) -> int:
        """Return the length of the body; -1 for another head."""
        before, after = self._before, self._after
        if head.startswith(before) and head.endswith(after):
            digits = head[len(before) : len(head) - len(after)]
            if digits.isdigit() and len(digits) < 10:
                return int(digits)
        return -1


class BorrowedConnections:
    """All of them.

    Args:
        broker: of this process.
        settings: of the gateway.
    """

    def __init__(self, broker: ApiBroker, settings: Settings) -> None:
        self.is_closing = False
        self._api = Api(broker, settings.namespaces, settings.limits.payload_size_limit, _log_failure)
        self._body_bytes = settings.http.body_bytes
        self._beginning: set[asyncio.Task[None]] = set()
        self._lenders: set[DescriptorChannel] = set()
        self._connections: set[_BorrowedConnection] = set()
        self._looking: asyncio.TimerHandle | None = None
        self._common = b""
        self._common_until = 0.0

    def __len__(self) -> int:
        return len(self._connections)

    # Workers

    @contextmanager
    def lending(self) -> Iterator[int]:
        """Borrow from a worker for as long as it lives. Yields the descriptor for its process, or `NO_LENDING`."""
        ends = make_pair()
        if ends is None:
            yield NO_LENDING
            return
        ours, theirs = ends
        channel = DescriptorChannel(ours, lambda lent, request: self._take(channel, lent, request))
        self._lenders.add(channel)
        try:
            yield theirs.fileno()
        finally:  # what it lent stays here
            self._lenders.discard(channel)
            channel.close()
            theirs.close()

    @property
    def answered(self) -> ApiCounters:
        """What was answered here."""
        return ApiCounters(self._api.answered, self._api.refused)

    # Connections

    def _take(self, lender: DescriptorChannel, lent: socket.socket, request: bytes) -> None:
        if self.is_closing:
            lent.close()  # what it asks was not done; the backend asks elsewhere
        elif len(self._connections) >= BORROWED_MOST:
            self._send_back(lender, lent.fileno(), request)
            lent.close()
        else:
            connection = _BorrowedConnection(self, self._api, lender, request, self._body_bytes)
            self._connections.add(connection)
            task = asyncio.get_running_loop().create_task(self._begin(connection, lent), name="borrow")
            self._beginning.add(task)
            task.add_done_callback(self._beginning.discard)
            if self._looking is None:
                self._look_later()

    async def _begin(self, connection: _BorrowedConnection, lent: socket.socket) -> None:
        lent.setblocking(False)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: connection, lent)
        except OSError:  # its other end is gone
            self.forget(connection)
            lent.close()

    def give_back(self, connection: _BorrowedConnection, lender: DescriptorChannel, content: bytes) -> None:
        """Return a connection that owes no answer, with what was read from it and not answered."""
        transport = connection.transport
        self.forget(connection)
        if not transport.is_closing():
            transport.pause_reading()
            if not transport.get_write_buffer_size():  # else its peer does not take what it is answered
                self._send_back(lender, transport.get_extra_info("socket").fileno(), content)
        transport.close()

    def _send_back(self, lender: DescriptorChannel, descriptor: int, content: bytes) -> None:
        """Send a copy to a worker; where none takes it the connection ends, with nothing done of what it asked."""
        for channel in sorted(self._lenders, key=lambda each: each is not lender):
            if channel.send(descriptor, content):
                return

    def forget(self, connection: _BorrowedConnection) -> None:
        """A connection is gone, or about to be."""
        self._connections.discard(connection)

    def _look_later(self) -> None:
        self._looking = asyncio.get_running_loop().call_later(IDLE, self._look)

    def _look(self) -> None:
        for connection in tuple(self._connections):
            connection.go_back_if_idle()
        self._looking = None
        if self._connections:
            self._look_later()

    def close(self) -> None:
        """Carry out nothing more but what is under way."""
        self.is_closing = True
        for connection in tuple(self._connections):
            connection.shutdown()

    @property
    def common(self) -> bytes:
        """The header lines of every answer, those that workers have there."""
        now = time.time()
        if now >= self._common_until:
            self._common_until = int(now) + 1.0
            self._common = b"date: %b\r\n" % formatdate(now, usegmt=True).encode()
        return self._common


class _BorrowedConnection(asyncio.Protocol):
    """One of them.

    Args:
        owner: of all.
        api: carries out.
        lender: where it goes back.
        request: came with it, and is the first to be carried out.
        body_bytes: of one request at most.
    """

    def __init__(
        self, owner: BorrowedConnections, api: Api, lender: DescriptorChannel, request: bytes, body_bytes: int
    ) -> None:
        self.transport: asyncio.Transport
        self._owner = owner
        self._api = api
        self._lender = lender
        self._body_bytes = body_bytes
        self._same = SameHead(request[: request.find(b"\r\n\r\n") + 4])
        self._content = request  # that came and is not answered
        self._is_answering = False
        self._is_used = True  # since the last look
        self._is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self._owner.is_closing:
            self.transport.abort()
        else:
            request, self._content = self._content, b""
            self.data_received(request)

    def data_received(self, data: bytes) -> None:
        if self._is_answering or self._content:
            self._content += data  # who asks before they are answered is the worker's; it goes on with all of it
            self.transport.pause_reading()
            return
        end = data.find(b"\r\n\r\n") + 4
        length = self._same.read_length(data[:end])
        if len(data) != end + length or length > self._body_bytes:
            self._owner.give_back(self, self._lender, data)
            return
        self._is_answering = self._is_used = True
        try:
            begun = self._api.start(METHOD, data[end:], self._answer)
        except Exception:
            log.exception("call_crashed", extra={"method": METHOD})
            self.transport.abort()
            return
        if not begun:
            self._is_answering = False
            self._owner.give_back(self, self._lender, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost = True
        self._owner.forget(self)

    def _answer(self, status: int, answer: bytes) -> None:
        self._is_answering = False
        if self._is_lost:
            return
        closing = self._owner.is_closing
        self.transport.write(HttpResponse(status, (), answer, JSON).encode(self._owner.common, close=closing))
        if closing:
            self.transport.close()
        elif self._content:
            asyncio.get_running_loop().call_later(WRITTEN, self._give_back_rest)

    def _give_back_rest(self) -> None:
        if not self._is_lost:
            self._owner.give_back(self, self._lender, self._content)

    def go_back_if_idle(self) -> None:
        """Return it if nothing has come since the last time."""
        if not (self._is_used or self._is_answering or self._content):
            self._owner.give_back(self, self._lender, b"")
        self._is_used = False

    def shutdown(self) -> None:
        """The gateway ends: close when nothing is being answered, else once it is."""
        if not self._is_answering and not self._content:
            self.transport.close()


def _log_failure(method: str, error: BrokerError) -> None:
    log.error("call_failed", extra={"method": method, "error": str(error)})
