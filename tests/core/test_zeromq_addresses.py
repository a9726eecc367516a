"""Addresses of ZeroMQ: what can be listened on, and how one connects to it."""

from __future__ import annotations

import pytest

from messageflow.core.zeromq_addresses import parse_zeromq_address


@pytest.mark.parametrize(
    ("text", "host", "endpoint", "target", "is_pub"),
    [
        ("ipc:///run/app/bus", "", "ipc:///run/app/bus", "ipc:///run/app/bus", False),
        ("pub+ipc://run/in", "", "ipc://run/in", "ipc://run/in", True),
        ("tcp://127.0.0.1:64002", "127.0.0.1", "tcp://127.0.0.1:64002", "tcp://127.0.0.1:64002", False),
        ("tcp://localhost:64002", "127.0.0.1", "tcp://127.0.0.1:64002", "tcp://127.0.0.1:64002", False),
        ("pub+tcp://*:64002", "*", "tcp://*:64002", "tcp://127.0.0.1:64002", True),
        ("tcp://[::]:1", "[::]", "tcp://[::]:1", "tcp://[::1]:1", False),
    ],
)
def test_an_address_is_listened_on_and_connected_to(
    text: str, host: str, endpoint: str, target: str, is_pub: bool
) -> None:
    address = parse_zeromq_address(text)
    assert (address.host, address.endpoint, address.target, address.is_pub) == (host, endpoint, target, is_pub)
    assert parse_zeromq_address(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ipc://",
        "ipc:///run/",
        "/run/bus",
        "tcp://*",
        "tcp://:1",
        "tcp://h:0",
        "tcp://h:65536",
        "inproc://a",
        "pub+",
    ],
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an address"):
        parse_zeromq_address(text)
