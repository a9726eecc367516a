"""HTTP/1.1 as bytes: a gateway's address, the request that goes there, and the response taken apart as it arrives.

Pure: no sockets, no clock. Written because a push must not cost a web request more than it has to; the figures are in
docs/decisions/0022-http-of-the-publisher.md. Responses are parsed by httptools (llhttp); nothing here knows what the
bodies mean.

Not here, because the gateway needs none of it: redirects, cookies, content codings, proxies.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httptools

from messageflow.client_io.codec import CLOSED, PENDING, Malformed
from messageflow.client_io.outcome import Response
from messageflow.core.gateway_paths import BASE_PATH, WEBSOCKET_PATH
from messageflow.errors import ConfigurationError

BODY_LIMIT = 64 * 1024 * 1024  # bytes of one response; a history of 10,000 small publications fits many times
_PORTS = {"http": 80, "https": 443}


class Endpoint(NamedTuple):
    """Where a gateway listens.

    Args:
        secure: over TLS.
        host: a name or an address.
        port: its port.
        prefix: the path a proxy in front gives it, without a slash at its end.
        base_path: the gateway's own below that, as its setting of this name has it.
    """

    secure: bool
    host: str
    port: int
    prefix: str
    base_path: str = BASE_PATH

    @property
    def authority(self) -> str:
        """Host and port, as the Host header and a URL have them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def scheme(self) -> str:
        return "https" if self.secure else "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.prefix}"


_COMPLAINT = (  # without any part of it: what stands there may be a password
    "what is given as the gateway's URL (argument url, or MESSAGEFLOW_URL) is none: write it like "
    "http://127.0.0.1:8000, or redis://127.0.0.1 for a Redis that gateways share"
)


@lru_cache(maxsize=64)
def parse_url(url: str, base_path: str = BASE_PATH) -> Endpoint:
    """Return the endpoint of a gateway's URL, such as `https://push.example.com` or `http://127.0.0.1:8000/flow`.

    Raises:
        ConfigurationError: it is not an http or https URL, or it carries a password, a query or a fragment.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigurationError(_COMPLAINT) from None
    if parts.scheme not in _PORTS or not parts.hostname or parts.query or parts.fragment or "@" in parts.path:
        raise ConfigurationError(_COMPLAINT)
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("the gateway's URL carries a password: take it out, and use MESSAGEFLOW_API_KEY")
    if not url.isascii() or any(letter <= " " for letter in url):
        raise ConfigurationError(_COMPLAINT)
    # What the browser is given is right here too.
    port, prefix = port or _PORTS[parts.scheme], parts.path.rstrip("/").removesuffix(WEBSOCKET_PATH)
    return Endpoint(parts.scheme == "https", parts.hostname, port, prefix, base_path)


def build_request(endpoint: Endpoint, api_key: str, method: str, body: bytes) -> bytes:
    """Return the whole request that calls an API method with a JSON body.

    Raises:
        ConfigurationError: the API key cannot stand in a header.
    """
    return b"%b%d\r\n\r\n%b" % (_head(endpoint, api_key, method), len(body), body)


@lru_cache(maxsize=256)
def _head(endpoint: Endpoint, api_key: str, method: str) -> bytes:
    if not (api_key.isascii() and api_key.isprintable()):
        raise ConfigurationError("the API key holds characters no header can carry: check MESSAGEFLOW_API_KEY")
    lines = [
        f"POST {endpoint.prefix}{endpoint.base_path}api/{method} HTTP/1.1",
        f"Host: {endpoint.authority}",
        "User-Agent: messageflow-python",
        "Content-Type: application/json",
        *([f"X-API-Key: {api_key}"] if api_key else []),
        "Content-Length: ",
    ]
    return "\r\n".join(lines).encode("ascii")


class ResponseParser:
    """One response, fed with bytes until it is complete.

    Attributes:
        complete: all of it is there.
    """

    __slots__ = (
        "_kept_alive",
        "_measured",
        "_parser",
        "_parts",
        "_size",
        "_spoiled",
        "_started",
        "_status",
        "complete",
    )

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.begin()

    def begin(self) -> None:
        """Be ready for the next response on the same connection."""
        self._parts: list[bytes] = []
        self._size = 0
        self._status = 0
        self.complete = False
        self._started = False  # the head of a final response is complete
        self._measured = False  # the response says itself where it ends
        self._spoiled = False  # there were bytes behind its end
        self._kept_alive = False  # the other side keeps the connection open

    @property
    def response(self) -> Response:
        """Status and body, once complete."""
        return Response(self._status, b"".join(self._parts))

    @property
    def reusable(self) -> bool:
        """Whether the connection may carry another request."""
        return self.complete and self._kept_alive and not self._spoiled

    def feed(self, data: bytes) -> bool:
        """Take bytes as they arrived; tell whether the response is complete.

        Raises:
            Malformed: this is no HTTP response.
        """
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self.complete:  # what follows a complete response is not ours to judge
                self._spoiled = True
                return True
            raise Malformed(f"what answered does not speak HTTP ({error})") from None
        if self._size > BODY_LIMIT:
            raise Malformed(f"the response is over {BODY_LIMIT} bytes")
        return self.complete

    def end(self) -> bool:
        """The other side closed: tell whether that is how this response ends."""
        self.complete = self.complete or (self._started and not self._measured)
        return self.complete

    # Called by the parser

    def on_message_begin(self) -> None:
        if self.complete:
            self._spoiled = True

    def on_header(self, name: bytes, _value: bytes) -> None:
        if not self.complete and name.lower() in (b"content-length", b"transfer-encoding"):
            self._measured = True

    def on_headers_complete(self) -> None:
        if not self.complete:
            self._status = self._parser.get_status_code()
            self._started = self._status >= 200

    def on_body(self, body: bytes) -> None:
        if self.complete:
            return
        self._size += len(body)
        if self._size <= BODY_LIMIT:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        if self._started and not self.complete:  # not an interim response (1xx), which another one follows
            self.complete = True
            self._kept_alive = bool(self._parser.should_keep_alive())  # the parser knows only until here


class ResponseDecoder:
    """The responses on one connection, one a request; see `codec.Decoder`."""

    __slots__ = ("_fed", "_parser", "_reusable")

    def __init__(self) -> None:
        self._parser = ResponseParser()
        self._fed = False  # a response has begun
        self._reusable = True

    def feed(self, data: bytes) -> None:
        self._fed = True
        self._parser.feed(data)

    def take(self) -> Any:
        parser = self._parser
        if not parser.complete:
            return PENDING
        response = parser.response
        self._fed, self._reusable = False, parser.reusable
        parser.begin()
        return response

    def end(self) -> None:
        if not self._parser.end():
            raise ConnectionResetError(CLOSED)

    def is_idle(self) -> bool:
        return self._reusable and not self._fed
