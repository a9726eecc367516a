"""An answer over HTTP that is read while it comes, on the running event loop: an event stream of a gateway.

Owns its connection, which nothing else uses. What its reader does not take waits in the sockets, not here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import httptools

from messageflow.client_io.codec import CLOSED
from messageflow.client_io.http1 import Endpoint
from messageflow.client_io.sockets import CHUNK, get_system_tls, set_up

HEAD_LIMIT = 65536  # bytes


class StreamedAnswer:
    """One answer, of which the head is here.

    Attributes:
        status: of it.
        headers: by name, in lower case.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self._loop = asyncio.get_running_loop()
        self._reader = reader
        self._writer = writer
        self._parser = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []
        self._begun = False
        self._complete = False

    async def read(self) -> bytes:
        """Return what has come next, empty at the end. Cancelled, it has lost nothing.

        Raises:
            OSError: the connection broke, or this is no HTTP answer.
        """
        while not self._parts and not self._complete:
            await self._feed()
        parts, self._parts = self._parts, []
        return b"".join(parts)

    async def read_all(self, most: int = CHUNK) -> bytes:
        """Return the rest, of which the end is cut off beyond `most` bytes. Raises as `read`."""
        found = b""
        while len(found) < most and (part := await self.read()):
            found += part
        return found[:most]

    async def read_head(self) -> None:
        """Wait for the head. Raises as `read`."""
        while not self._begun:
            await self._feed()

    def close(self) -> None:
        """Let the other side know that nobody reads any more; may be called on a thread, and after its loop."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._abort)

    def _abort(self) -> None:  # which keeps the writer until then: one that goes before its transport ends complains
        self._writer.transport.abort()

    async def _feed(self) -> None:
        data = await self._reader.read(CHUNK)
        if not data:
            if not self._begun or "content-length" in self.headers or "transfer-encoding" in self.headers:
                raise ConnectionResetError(CLOSED)
            self._complete = True
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise ConnectionAbortedError(f"what answered does not speak HTTP ({error})") from None

    # Called by the parser

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._begun = self.status >= 200
        if not self._begun:  # an interim one, which another follows
            self.headers.clear()

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        self._complete = self._begun


async def open_answer(
    endpoint: Endpoint, target: str, headers: Iterable[tuple[str, str]], seconds: float
) -> StreamedAnswer:
    """Ask for something by GET, and return the answer once its head is here.

    Args:
        endpoint: of the gateway, whose prefix goes before.
        target: path and query.
        headers: of the request, each of ASCII without line ends.
        seconds: all this may take.

    Raises:
        OSError: there is no connection, it broke, or what answered does not speak HTTP; TimeoutError among them.
        ValueError: a header holds what none can.
    """
    lines = [("Host", endpoint.authority), ("User-Agent", "messageflow-python"), *headers]
    if not all(text.isascii() and text.isprintable() for line in lines for text in (*line, target)):
        raise ValueError("a header or an address holds what none can")
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    async with asyncio.timeout(seconds):
        reader, writer = await asyncio.open_connection(
            endpoint.host, endpoint.port, limit=HEAD_LIMIT, ssl=get_system_tls() if endpoint.secure else None
        )
        answer = StreamedAnswer(reader, writer)
        try:
            set_up(writer.get_extra_info("socket"))
            writer.write(f"GET {endpoint.prefix}{target} HTTP/1.1\r\n{head}\r\n".encode("ascii"))
            await answer.read_head()
        except BaseException:
            answer.close()
            raise
    return answer
