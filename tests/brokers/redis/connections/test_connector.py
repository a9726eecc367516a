"""Which Redis that cannot be used at a start may be there later, and which needs somebody to change something."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

import pytest

from messageflow.brokers.redis.connections.connector import Connector
from messageflow.brokers.redis.connections.reconnecting_connection import ReconnectingConnection
from messageflow.errors import BrokerError, Unavailable
from tests.brokers.redis.certificates import Authority
from tests.brokers.redis.processes import Server
from tests.ports import free_port


async def failure(url: str) -> BrokerError:
    """Return how a connection cannot be made."""
    under_test = ReconnectingConnection(Connector(url, 0.1).connect, deadline=0.1)
    with pytest.raises(BrokerError) as raised:
        await under_test.start()
    await under_test.close()
    return raised.value


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """Listen, and answer whatever is said. Yields the port."""

    class Answer(StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):  # who was refused leaves
                while line := self.rfile.readline():
                    if not line.startswith((b"$", b"*")):  # each word of a command, which is more than is asked for
                        self.wfile.write(answer)

    with ThreadingTCPServer(("127.0.0.1", 0), Answer) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


async def test_what_does_not_listen_yet_may_do_so_later(tmp_path: Path) -> None:
    refused = f"127.0.0.1:{free_port()}"
    for url in (
        f"redis://{refused}",
        f"rediss://{refused}",
        f"redis+sentinel://{refused}/service",
        "redis://redis.invalid:6379",
        f"unix://{tmp_path}/redis.sock",
    ):
        assert isinstance(await failure(url), Unavailable), url


async def test_what_takes_a_connection_and_says_nothing_may_speak_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = await failure(f"redis://user:password@127.0.0.1:{silent.getsockname()[1]}")
    assert isinstance(error, Unavailable)
    assert "did not answer in time" in str(error)


@pytest.mark.parametrize(
    "answer", [b"-LOADING Redis is loading the dataset in memory\r\n", b"-ERR max number of clients reached\r\n"]
)
async def test_what_says_that_it_cannot_now_may_be_able_later(answer: bytes) -> None:
    with answering(answer) as port:
        assert isinstance(await failure(f"redis://user:password@127.0.0.1:{port}"), Unavailable)


async def test_a_sentinel_that_has_no_primary_may_have_one_later() -> None:
    with answering(b"*-1\r\n") as port:
        error = await failure(f"redis+sentinel://127.0.0.1:{port}/service")
    assert isinstance(error, Unavailable)
    assert "'service'" in str(error)


async def test_what_answers_wrongly_is_not_waited_for(authority: Authority, tmp_path: Path) -> None:
    secured = Server(tmp_path, certificate=authority.sign("localhost"), password="right")
    try:
        for url in (
            f"rediss://127.0.0.1:{secured.port}",  # nobody vouches for it
            f"rediss://:wrong@127.0.0.1:{secured.port}?ssl_ca_certs={authority.file}",
            f"rediss://127.0.0.1:{secured.port}?ssl_ca_certs={tmp_path}/nowhere.pem",
        ):
            assert not isinstance(await failure(url), Unavailable), url
    finally:
        secured.stop()
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        for url in (f"redis://:password@127.0.0.1:{port}", f"rediss://127.0.0.1:{port}"):
            assert not isinstance(await failure(url), Unavailable), url
