"""A page without a browser: connects to the gateway of the tests, waits for pushes, and says what pages say.

    page = live_gateway.connect("alice")
    client.post("/reports")
    assert page.wait_for("report/ready").payload == {"id": 7}

Waits for what comes, never for a time, and says what came instead. Owns one WebSocket and the thread that reads it;
speaks the native dialect, docs/protocol.md. It does not reconnect: a test knows when it wants to.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import msgspec
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from messageflow.core.codes import METHOD_NOT_FOUND, SERVER_ERROR
from messageflow.core.stream import Publication
from messageflow.errors import Refused
from messageflow.handlers.registry import EVERY, Kind
from messageflow.publisher.encoding import encode
from messageflow.testing.recorded_selection import Recorded, Selection, read_payload, read_publication
from messageflow.typed.kinds import find_kind
from messageflow.typed.message import TypedMessage

PATIENCE = 10.0  # seconds that a page waits for what it is asked for, also on a busy machine
AWAY = SERVER_ERROR.code  # the application has not said yet what it handles
MARKER = "messageflow/testing/marker"


class _Error(msgspec.Struct):
    code: int = 0
    message: str = ""


class _Publication(msgspec.Struct):
    data: msgspec.Raw
    offset: int = 0
    tags: dict[str, str] = {}


class _Push(msgspec.Struct):
    channel: str = ""
    pub: _Publication | None = None


class _Subscribed(msgspec.Struct):
    publications: list[_Publication] = []


class _Connected(msgspec.Struct):
    client: str = ""
    data: Any = None
    subs: dict[str, _Subscribed] = {}


class _Called(msgspec.Struct):
    data: Any = None


class _Line(msgspec.Struct):
    id: int = 0
    error: _Error | None = None
    push: _Push | None = None
    connect: _Connected | None = None
    subscribe: _Subscribed | None = None
    rpc: _Called | None = None


class LivePage:
    """One connection.

    Args:
        url: of the WebSocket.
        token: who it is; None for nobody.
        mark: publishes the marker in a channel; see `settle`.
        headers: of the handshake, such as a cookie.
        since: where the page begins, as `flow.position` gives it.
        patience: seconds that it waits for anything.

    Attributes:
        channels: that it hears.
        data: what `on_connect` of the application gave.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        mark: Callable[[str, str], object],
        *,
        headers: Mapping[str, str] | None = None,
        since: Mapping[str, Any] | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self._url = url
        self._mark = mark
        self._headers = headers
        self._patience = patience
        self._changed = threading.Condition()
        self._heard: list[Recorded] = []
        self._taken: set[int] = set()
        self._markers: set[tuple[str, str]] = set()
        self._replies: dict[int, _Line] = {}
        self._ended = ""
        self._last_id = 0
        self._decode = msgspec.json.Decoder(_Line).decode
        self._stack = ExitStack()
        self._socket: ClientConnection
        request: dict[str, Any] = {"token": token} if token else {}
        if since:
            request["subs"] = {channel: {"recover": True, **position} for channel, position in since.items()}
        connected = self._connect(request)
        self.data = connected.data
        self.channels = set(connected.subs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Leave. May be called twice."""
        self._stack.close()
        self._reader.join()

    @property
    def heard(self) -> Selection:
        """All that was heard so far; after `settle`, all that was published before it."""
        with self._changed:
            return Selection(list(self._heard))

    def wait_for(self, type: str | type[Any] | None = None, *, channel: str | None = None) -> Recorded:
        """Wait for the next push of a type, or the next publication in a channel, and return it: each once, in order.

        By a class of typed messages the payload is an object of the class.

        Raises:
            AssertionError: it did not come in time; the message shows what came.
        """
        kind = find_kind(type)
        name = type if kind is None else kind.type
        found: Recorded | None = self._wait(lambda: self._take(name, channel))
        if found is None:
            wanted = " ".join([repr(name) if name else "anything", f"in {channel!r}" if channel else ""]).strip()
            raise AssertionError(f"{wanted} was waited for {self._patience:g} s; {self._describe()}")
        return found if kind is None else read_payload(found, kind)

    def settle(self) -> Selection:
        """Wait until all that was published before this has come, in each of its channels; return what was heard."""
        name = f"{id(self)}/{self._next_id()}"
        for channel in self.channels:
            self._mark(channel, name)
        expected = {(channel, name) for channel in self.channels}
        if not self._wait(lambda: expected <= self._markers):
            raise AssertionError(f"the gateway did not deliver all in time; {self._describe()}")
        return self.heard

    def emit(self, name: str | TypedMessage, data: Any = None) -> None:
        """Say something, as `flow.emit` of a page does: returns once the application has handled it.

        Args:
            name: or a typed message, which is name and data in one.
            data: what JSON can carry.

        Raises:
            Refused: it has refused it, has failed, or does not know the name.
        """
        name, data = _read_said(name, data)
        self._ask_handler("event", name, {"send": {"data": {"type": name, "payload": data}}})

    def call(self, name: str | TypedMessage, data: Any = None) -> Any:
        """Ask something, as `flow.call` of a page does. Returns what the application returned.

        Arguments and errors as of `emit`.
        """
        name, data = _read_said(name, data)
        reply = self._ask_handler("rpc", name, {"rpc": {"method": name, "data": data}})
        return None if reply.rpc is None else reply.rpc.data

    def subscribe(self, channel: str, token: str = "") -> None:
        """Subscribe to a channel.

        Raises:
            Refused: it may not.
        """
        self._ask({"subscribe": {"channel": channel, **({"token": token} if token else {})}})
        self.channels.add(channel)

    def wait_until_closed(self) -> str:
        """Wait until the gateway has ended the connection, and return its code and reason."""
        if not self._wait(lambda: self._ended):
            raise AssertionError(f"the connection was not ended within {self._patience:g} s")
        return self._ended

    # What goes over the wire

    def _connect(self, request: dict[str, Any]) -> _Connected:
        end = time.monotonic() + self._patience
        while True:
            self._socket = self._stack.enter_context(
                connect(
                    self._url,
                    additional_headers=dict(self._headers or {}),
                    compression=None,
                    proxy=None,
                    max_size=None,
                    ping_interval=None,
                )
            )
            self._ended = ""
            self._reader = threading.Thread(target=self._read, name="messageflow-page", daemon=True)
            self._reader.start()
            try:
                return self._ask({"connect": request}).connect or _Connected()
            except Refused as error:
                self.close()
                if error.code != AWAY or time.monotonic() > end:
                    raise

    def _ask_handler(self, kind: Kind, name: str, command: dict[str, Any]) -> _Line:
        """Ask what a handler answers. Of one that was written a moment ago the gateway may not know yet."""
        end = time.monotonic() + self._patience
        while True:
            try:
                return self._ask(command)
            except Refused as error:
                is_new = error.code == METHOD_NOT_FOUND.code and EVERY.find(kind, name) is not None
                if not is_new or time.monotonic() > end:
                    raise

    def _ask(self, command: dict[str, Any]) -> _Line:
        number = self._next_id()
        try:
            self._socket.send(msgspec.json.encode({"id": number, **command}).decode())
        except ConnectionClosed:
            pass  # what ended it is said below
        reply = self._wait(lambda: self._replies.pop(number, None) or self._ended)
        if isinstance(reply, _Line):
            if reply.error is not None:
                raise Refused(reply.error.code, reply.error.message)
            return reply
        if reply:
            code, _, reason = reply.partition(" ")
            raise Refused(int(code), f"the connection has ended: {reason}")
        raise AssertionError(f"the gateway did not answer within {self._patience:g} s")

    def _next_id(self) -> int:
        with self._changed:
            self._last_id += 1
            return self._last_id

    def _wait(self, find: Callable[[], Any]) -> Any:
        with self._changed:
            return self._changed.wait_for(find, self._patience)

    def _take(self, type: object, channel: str | None) -> Recorded | None:
        for place, each in enumerate(self._heard):
            if place not in self._taken and type in (None, each.type) and channel in (None, each.channel):
                self._taken.add(place)
                return each
        return None

    def _describe(self) -> str:
        heard = "".join(f"\n  {each}" for each in self._heard) or " nothing"
        return f"heard was:{heard}" + (f"\nand the connection has ended: {self._ended}" if self._ended else "")

    # In the thread

    def _read(self) -> None:
        ended = "1006 without a word"
        try:
            for message in self._socket:
                for text in str(message).split("\n"):
                    self._receive(text)
        except ConnectionClosed as error:
            if error.rcvd is not None:
                ended = f"{error.rcvd.code} {error.rcvd.reason}"
        except Exception as error:  # the test that waits is told
            ended = f"1006 it could not be read: {error!r}"
        else:
            ended = f"{self._socket.close_code} {self._socket.close_reason}"
        with self._changed:
            self._ended = ended
            self._changed.notify_all()

    def _receive(self, text: str) -> None:
        if text == "{}":
            self._socket.send("{}")
            return
        line = self._decode(text)
        with self._changed:
            if line.push is not None and line.push.pub is not None:
                self._hear(line.push.channel, line.push.pub)
            for channel, subscribed in (line.connect.subs if line.connect else {}).items():
                for publication in subscribed.publications:
                    self._hear(channel, publication)
            if line.id:
                self._replies[line.id] = line
            self._changed.notify_all()

    def _hear(self, channel: str, said: _Publication) -> None:
        if MARKER in said.tags:
            self._markers.add((channel, said.tags[MARKER]))
            return
        tags = msgspec.json.encode(said.tags)
        self._heard.append(read_publication(channel, Publication(said.offset, "", 0.0, bytes(said.data), b"", tags)))


def _read_said(name: Any, data: Any) -> tuple[str, Any]:
    kind = find_kind(type(name))
    return (name, data) if kind is None else (kind.type, msgspec.Raw(kind.write(name, encode)))
