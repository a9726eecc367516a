"""What a flow says first on a connection to Redis, and what it means when it is not let in: by values."""

from __future__ import annotations

import time
from typing import Any

import pytest

from messageflow.brokers.redis.connections.resp import ErrorReply
from messageflow.brokers.redis.connections.url import Address
from messageflow.client_io.kernel import Broken, ClientConnection, ClientIO, ServerAddress, run_now
from messageflow.redis_publisher.server_connector import NotAccepted, ServerConnector, pack


class Scripted:
    """Connections on which a test says what is answered; it is an I/O as well as a connection."""

    blocks = True

    def __init__(self, *replies: Any) -> None:
        self.replies = list(replies)
        self.sent = b""
        self.address: ServerAddress | None = None
        self.closed = False

    async def connect(self, address: ServerAddress, decoder: object, limit: float) -> Any:
        self.address = address
        return self

    async def send(self, data: bytes, limit: float) -> None:
        self.sent += data

    async def receive(self, limit: float) -> Any:
        reply = self.replies.pop(0)
        if isinstance(reply, OSError):
            raise reply
        return reply

    def close(self) -> None:
        self.closed = True


HERE = Address("h", 1)


def connect(url: str, io: Any, address: Address | None = HERE, *, sentinel: bool = False) -> Any:
    made: ClientIO = io
    limit = time.monotonic() + 50
    connection: ClientConnection = run_now(ServerConnector(url).connect(made, address, limit, sentinel=sentinel))
    return connection


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://h", []),
        ("redis://:p@h", [("AUTH", "p")]),
        ("redis://u:p@h", [("AUTH", "u", "p")]),
        ("redis://u@h", [("AUTH", "u", "")]),
        ("redis://:p@h/3?client_name=me", [("AUTH", "p"), ("CLIENT", "SETNAME", "me"), ("SELECT", 3)]),
        ("unix:///run/redis?db=2", [("SELECT", 2)]),
    ],
)
def test_what_is_said_first(url: str, said: list[tuple[str | int, ...]]) -> None:
    io = Scripted(*[b"OK"] * len(said))
    assert connect(url, io) is io
    assert io.sent == pack(said)
    assert not io.closed


def test_a_sentinel_is_told_its_own_password_and_never_that_of_redis() -> None:
    url = "redis+sentinel://u:secret@h/service/3?sentinel_password=other"
    io = Scripted(b"OK")
    connect(url, io, sentinel=True)
    assert io.sent == pack([("AUTH", "other")])
    io = Scripted()
    connect(url.partition("?")[0], io, sentinel=True)
    assert io.sent == b""


def test_where_it_connects_to() -> None:
    for url, address, expected in (
        ("redis://h", Address("h", 1), ("h", 1, "", False)),
        ("rediss://h", Address("h", 1), ("h", 1, "", True)),
        ("unix:///run/redis", None, ("", 0, "/run/redis", False)),
    ):
        io = Scripted()
        connect(url, io, address)
        assert io.address is not None
        assert (io.address.host, io.address.port, io.address.path, io.address.tls is not None) == expected


@pytest.mark.parametrize(
    "text",
    [
        "WRONGPASS invalid username-password pair or user is disabled.",
        "NOAUTH Authentication required.",
        "ERR invalid password",
        "ERR AUTH <password> called without any password configured for the default user.",
        "ERR Client sent AUTH, but no password is set",
    ],
)
def test_a_wrong_password_is_told_as_one(text: str) -> None:
    io = Scripted(ErrorReply(text))
    with pytest.raises(NotAccepted):
        connect("redis://:p@h", io)
    assert io.closed


@pytest.mark.parametrize(
    ("text", "hopeless"),
    [
        ("ERR max number of clients reached", False),
        ("LOADING Redis is loading the dataset in memory", False),
        ("ERR DB index is out of range", True),
        ("NOPERM this user has no permissions to run the 'select' command", True),
    ],
)
def test_another_attempt_is_made_where_it_may_help(text: str, hopeless: bool) -> None:
    io = Scripted(ErrorReply(text))
    with pytest.raises(Broken) as raised:
        connect("redis://h/1", io)
    assert raised.value.hopeless == hopeless
    assert io.closed


def test_a_connection_that_breaks_meanwhile_is_let_go_of() -> None:
    io = Scripted(ConnectionResetError("gone"))
    with pytest.raises(Broken, match="gone"):
        connect("redis://:p@h", io)
    assert io.closed


@pytest.mark.parametrize("option", ["ssl_certfile", "ssl_ca_certs"])
def test_files_of_tls_that_are_not_there_are_said_to_be(option: str) -> None:
    io = Scripted()
    connect(f"rediss://h?{option}=/nowhere", io)
    assert io.address is not None
    assert io.address.tls is not None
    with pytest.raises(Broken, match="what its URL says of TLS") as raised:
        io.address.tls()
    assert (raised.value.hopeless, raised.value.absent) == (True, False)
