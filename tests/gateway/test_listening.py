"""What keeps a gateway from listening is said in a sentence, with the way out that fits."""

from __future__ import annotations

import resource
import socket

import pytest

from messageflow.errors import ConfigurationError
from messageflow.gateway.listening import listen


def test_a_port_that_is_taken() -> None:
    complaint = r"Address already in use\. Is another gateway running\?"
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(ConfigurationError, match=complaint):
        listen("127.0.0.1", other.getsockname()[1])


@pytest.mark.parametrize("host", ["256.1.1.1", "203.0.113.7", "a" * 64 + ".invalid", "::1::"])
def test_what_is_no_address_of_this_machine(host: str) -> None:
    with pytest.raises(ConfigurationError, match="--host takes an address of this machine") as refused:
        listen(host, 0)
    assert "Unknown error" not in str(refused.value)


def test_no_file_is_left_to_open() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = socket.socket()
    resource.setrlimit(resource.RLIMIT_NOFILE, (free.fileno(), hard))
    try:
        with pytest.raises(ConfigurationError, match=r"Too many open files.*ulimit -n"):
            listen("127.0.0.1", 0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        free.close()
