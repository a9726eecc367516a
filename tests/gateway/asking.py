"""Requests as browsers, programs and proxies send them: any host, any header, an upgrade or none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse

from tests.waiting import patience

SECONDS = 10
UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


@contextmanager
def asked(
    port: int, path: str, headers: dict[str, str] | None = None, *, method: str = "GET"
) -> Iterator[HTTPResponse]:
    """Ask for something on this machine; the connection stays until the block ends."""
    connection = HTTPConnection("127.0.0.1", port, timeout=patience(SECONDS))
    try:
        connection.request(method, path, headers=headers or {})
        yield connection.getresponse()
    finally:
        connection.close()


def get(port: int, path: str, **headers: str) -> tuple[int, str]:
    """Return the status and the text of an answer; underscores in the names of headers are hyphens."""
    with asked(port, path, {name.replace("_", "-"): value for name, value in headers.items()}) as response:
        return response.status, response.read().decode()


def upgrade(port: int, path: str = "/connection/websocket", **headers: str) -> int:
    """Return the status with which a WebSocket is answered."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with asked(port, path, UPGRADE | named) as response:
        return response.status
