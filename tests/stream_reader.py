"""An event stream or a stream of lines as a program reads it, without anything of ours."""

from __future__ import annotations

import http.client
import json
from typing import Any, Protocol

SECONDS = 30.0


class Listening(Protocol):
    """What listens on this machine."""

    port: int


class Stream:
    """A request, and what is heard of its answer.

    Args:
        server: of which the port is asked.
        target: path and query.
        headers: of the request.
        body: of a POST; else it is a GET.

    Attributes:
        status: of the answer.
        headers: of the answer.
    """

    def __init__(self, server: Listening, target: str, headers: dict[str, str] | None = None, body: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=SECONDS)
        self._connection.request("POST" if body else "GET", target, body or None, headers or {})
        self._answer = self._connection.getresponse()
        self.status = self._answer.status
        self.headers = self._answer.headers
        self.last_id = ""

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *error: object) -> None:
        self._answer.close()
        self._connection.close()

    def read(self) -> str:
        """Return all of an answer that ends."""
        return self._answer.read().decode()

    def line(self) -> Any:
        """Return the next line as JSON."""
        return json.loads(self._answer.readline())

    def event(self) -> tuple[str, Any]:
        """Return name and data of the next event, as an EventSource dispatches it."""
        name, data = "message", ""
        while line := self._answer.readline().decode():
            field, _, value = line.rstrip("\n").partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                data += value
            elif field == "id":
                self.last_id = value
            elif not field and data:
                return name, json.loads(data)
        raise EOFError

    def data(self) -> Any:
        """Return the data of the next publication."""
        while True:
            name, data = self.event()
            if name == "message":
                return data
