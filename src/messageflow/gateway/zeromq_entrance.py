"""Where backends of the ancestors push over ZeroMQ: what they send is published through the API, in their order.

Owns the sockets. It reads no further while a publish waits, so what is too much waits with the senders: here as many
messages as `HIGH_WATER` of each, then in the kernel, then in their own queues, where a PUSH socket blocks and a PUB
socket drops. A message that cannot be published is counted and logged, and the next one is read. While the broker
cannot be asked nothing is read.

Imports the library, which is an extra: imported where the setting asks for it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import socket
from collections.abc import Iterator, Sequence
from itertools import count

import msgspec
import zmq

from messageflow.api import calls
from messageflow.api.bus_messages import BusCall, read_bus_message
from messageflow.api.call_errors import FAILURES
from messageflow.core.backoff import Backoff
from messageflow.core.json import UnsafeJSON
from messageflow.core.zeromq_addresses import ZeromqAddress
from messageflow.errors import ConfigurationError
from messageflow.gateway.worker_api import WorkerApi

log = logging.getLogger("messageflow.gateway")

HIGH_WATER = 256  # messages of one sender that wait in this process
TOGETHER = 64  # messages that are published in one call
LARGER = 16  # times the limit of a payload: what a message may have; beyond, its sender is cut off
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0  # seconds between attempts while the broker cannot be asked
LAST = 2.0  # seconds in which what has come is published at the end

Command = dict[str, BusCall]


class _Error(msgspec.Struct, frozen=True, gc=False):
    message: str = ""


class _Reply(msgspec.Struct, frozen=True, gc=False):
    error: _Error | None = None


class _Answer(msgspec.Struct, frozen=True, gc=False):
    replies: list[_Reply] = []
    error: _Error | None = None


_read_answer = msgspec.json.Decoder(_Answer).decode
_encode = msgspec.json.Encoder().encode


class ZeromqEntrance:
    """The sockets of one process.

    Args:
        addresses: where they listen.
        api: carries calls out.
        size_limit: bytes of JSON a payload may have.
    """

    def __init__(self, addresses: Sequence[ZeromqAddress], api: WorkerApi, size_limit: int) -> None:
        self._addresses = addresses
        self._api = api
        self._largest = LARGER * size_limit
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._readers: list[_Reader] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._gatekeeper: asyncio.Task[None]
        self._closing = asyncio.Event()
        self._name = secrets.token_urlsafe(8)
        self._numbers = count()

    def open(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: an address cannot be listened on.
        """
        try:
            gate = self._context.socket(zmq.REP)
            gate.bind("inproc://zeromq.zap.01")  # where the library asks, RFC 27 of ZeroMQ
            self._readers += (_Reader(self._bind(address)) for address in self._addresses)
        except BaseException:
            self._context.destroy(linger=0)
            raise
        spawn = self._api.hub.runtime.spawn
        self._gatekeeper = spawn(_let_in(_Reader(gate)), name="zeromq gate")
        self._tasks += (spawn(self._serve(reader), name="zeromq") for reader in self._readers)
        log.info("zeromq_open", extra={"addresses": [str(each) for each in self._addresses]})

    def _bind(self, address: ZeromqAddress) -> zmq.Socket[bytes]:
        bound = self._context.socket(zmq.SUB if address.is_pub else zmq.PULL)
        bound.setsockopt(zmq.RCVHWM, HIGH_WATER)
        bound.setsockopt(zmq.MAXMSGSIZE, self._largest)
        bound.setsockopt(zmq.IPV6, address.host.startswith("["))
        bound.setsockopt(zmq.ZAP_DOMAIN, b"messageflow")  # whoever is asked about has to speak a protocol that asks
        if address.is_pub:
            bound.subscribe(b"")
        try:
            if address.scheme == "ipc":
                _refuse_if_taken(address.place)
            bound.bind(address.endpoint)
        except (OSError, zmq.ZMQError) as error:
            raise ConfigurationError(f"zeromq: {address} cannot be listened on: {error.strerror or error}") from None
        return bound

    async def close(self) -> None:
        """Publish what has come, within a time, and listen no longer."""
        self._closing.set()
        for reader in self._readers:
            reader.wake()
        await asyncio.wait(self._tasks, timeout=LAST)
        tasks = [*self._tasks, self._gatekeeper]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)  # they watch descriptors of the sockets
        self._context.destroy(linger=0)

    async def _serve(self, reader: _Reader) -> None:
        while True:
            messages = reader.take(TOGETHER)
            if messages:
                try:
                    await self._publish([*self._read(messages)])
                except Exception:
                    log.exception("zeromq_failed", extra={"messages": len(messages)})
                await asyncio.sleep(0)  # a broker in memory makes nobody wait
            elif self._closing.is_set():
                return
            else:
                await reader.wait()

    def _read(self, messages: Sequence[Sequence[bytes]]) -> Iterator[Command]:
        for parts in messages:
            try:
                call = read_bus_message(parts)
            except UnsafeJSON as error:
                self._refuse("malformed", str(error))
                continue
            key = f"{self._name}-{next(self._numbers)}"
            method = "push" if isinstance(call, calls.PushCall) else "broadcast_push"
            yield {method: msgspec.structs.replace(call, idempotency_key=key)}

    async def _publish(self, commands: Sequence[Command]) -> None:
        if not commands:
            return
        answer = _read_answer(await self._call(_encode({"commands": commands})))
        if answer.error is not None and len(commands) > 1:  # one of them may be what all were refused for
            for command in commands:
                await self._publish([command])
            return
        for reply in answer.replies or [_Reply(answer.error)]:
            if reply.error is None:
                self._api.over_zeromq["published"] += 1
            else:
                self._refuse("refused", reply.error.message)

    async def _call(self, body: bytes) -> bytes:
        """Make a call, again and again while the broker cannot be asked; return the answer."""
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE, random.random)
        while True:
            status, answer = await self._api.call("batch", body)
            if status not in FAILURES or self._closing.is_set():
                return answer
            pause = backoff.fail()
            self._api.hub.log_limited(logging.WARNING, "zeromq_waits", status=status, again_in=round(pause, 3))
            try:
                await asyncio.wait_for(self._closing.wait(), pause)
            except TimeoutError:
                pass

    def _refuse(self, outcome: str, reason: str) -> None:
        self._api.over_zeromq[outcome] += 1
        self._api.hub.log_limited(logging.WARNING, "zeromq_message_refused", outcome=outcome, reason=reason)


class _Reader:
    """Reads a socket on the event loop.

    Its descriptor is ready as long as the library has not looked at what came, so it is watched only while nothing
    is left to take.
    """

    def __init__(self, bound: zmq.Socket[bytes]) -> None:
        self._bound = bound
        self._woken = asyncio.Event()
        self.wake = self._woken.set

    def take(self, most: int) -> list[list[bytes]]:
        """Return messages that are here."""
        found: list[list[bytes]] = []
        try:
            while len(found) < most:
                found.append(self._bound.recv_multipart(zmq.NOBLOCK))
        except zmq.Again:
            pass
        return found

    def answer(self, parts: list[bytes]) -> None:
        """Answer what was taken last."""
        self._bound.send_multipart(parts)

    async def wait(self) -> None:
        """Return when something may be here, or when it is woken."""
        loop, descriptor = asyncio.get_running_loop(), int(self._bound.getsockopt(zmq.FD))
        loop.add_reader(descriptor, self.wake)
        try:
            await self._woken.wait()
        finally:
            loop.remove_reader(descriptor)
            self._woken.clear()


async def _let_in(gate: _Reader) -> None:
    """Let everybody in who says hello as ZeroMQ does since version 3 of its protocol.

    What came before has no hello: any bytes were messages, a form that a page posts to this machine among them. The
    library refuses that where somebody is to be asked.
    """
    while True:
        asked = gate.take(1)
        if asked:
            version, request, *_ = asked[0]
            gate.answer([version, request, b"200", b"OK", b"", b""])
        else:
            await gate.wait()


def _refuse_if_taken(path: str) -> None:
    """Raise an OSError where another process listens: ZeroMQ would take the path from it."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(f"\0{path[1:]}" if path.startswith("@") else path)
        except OSError:
            return
    raise OSError(98, "address already in use")
