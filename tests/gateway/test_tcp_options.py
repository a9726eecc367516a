"""What the kernel is asked about a connection: patience with a peer that reads nothing, and whether it is there."""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import struct
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from messageflow.gateway import tcp_options
from messageflow.gateway.event_loop import run_loop
from tests.waiting import until

FLOOD = 4 << 20  # bytes, more than the sockets of both sides hold
KERNEL = tuple(int(part) for part in os.uname().release.split(".")[:2])
SMALL = 8192  # bytes of the receive buffer of a peer

pytestmark = pytest.mark.slow


def tcp_info(
    retransmits: int = 0, probes: int = 0, since_acknowledged: int = 0, unacknowledged: int = 0, unsent: int = 0
) -> bytes:
    return struct.pack("=2x2B20xI28xI84xI", retransmits, probes, unacknowledged, since_acknowledged, unsent)


@pytest.mark.parametrize(
    ("retransmits", "probes", "since_acknowledged", "silent"),
    [
        (0, 0, 60_000, False),  # nothing was asked
        (0, 1, 119_000, False),  # a probe is under way, the one before was answered
        (0, 2, 12_000, True),
        (0, 2, 11_999, False),  # two tries in quick succession: a link that is slow
        (2, 0, 12_000, True),
        (1, 1, 12_000, True),
    ],
)
def test_who_is_taken_for_gone(retransmits: int, probes: int, since_acknowledged: int, silent: bool) -> None:
    assert tcp_options.is_silent(tcp_info(retransmits, probes, since_acknowledged)) is silent


@pytest.mark.parametrize(
    ("unacknowledged", "unsent", "since_acknowledged", "behind"),
    [
        (0, 0, 100, False),  # it has everything
        (3, 0, 9_999, True),
        (0, 20_000, 9_999, True),  # its window is closed
        (3, 20_000, 10_000, False),  # it has taken nothing meanwhile
    ],
)
def test_who_is_taken_for_slow(unacknowledged: int, unsent: int, since_acknowledged: int, behind: bool) -> None:
    info = tcp_info(0, 0, since_acknowledged, unacknowledged, unsent)
    assert tcp_options.is_behind(info, 10) is behind


class Peer(asyncio.Protocol):
    """The gateway's end of a connection."""

    def __init__(self, connected: asyncio.Future[Peer]) -> None:
        self.transport: asyncio.Transport
        self._connected = connected
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        self._connected.set_result(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


def start(*command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@asynccontextmanager
async def connected(address: str, prefix: tuple[str, ...] = ()) -> AsyncIterator[tuple[Peer, subprocess.Popen[str]]]:
    """Yield our end of a connection and the process at the other, which reads nothing until it is told to."""
    listener = socket.socket()
    tcp_options.prepare_listener(listener)
    listener.bind((address, 0))
    listener.listen()
    loop = asyncio.get_running_loop()
    accepted: asyncio.Future[Peer] = loop.create_future()
    server = await loop.create_server(lambda: Peer(accepted), sock=listener)
    script = f"""
import socket, sys
peer = socket.socket()
peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, {SMALL})
peer.connect({listener.getsockname()!r})
sys.stdin.readline()
left = {FLOOD}
while left:
    data = peer.recv(65536)
    assert data
    left -= len(data)
print("whole", flush=True)
sys.stdin.readline()
"""
    process = await asyncio.to_thread(start, *prefix, sys.executable, "-c", script)
    try:
        async with asyncio.timeout(20):
            peer = await accepted
        yield peer, process
        peer.transport.abort()
        await peer.lost
    finally:
        process.kill()
        process.communicate()
        server.close()


def on_uvloop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Let a test run on the loop of the gateway."""

    @functools.wraps(test)
    def run(*arguments: Any, **fixtures: Any) -> None:
        run_loop(test(*arguments, **fixtures))

    return run


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_options, "USER_TIMEOUT", 1.0)
    monkeypatch.setattr(tcp_options, "LONGEST_PROBE", 1.0)
    monkeypatch.setattr(tcp_options, "SILENT_AFTER", 2.5)


def option(peer: Peer, number: int) -> int:
    value: int = peer.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, number)
    return value


@on_uvloop
async def test_what_is_set_on_the_listener_holds_for_its_connections() -> None:
    async with connected("127.0.0.1") as (peer, _):
        assert option(peer, socket.TCP_USER_TIMEOUT) == 20_000
        assert option(peer, socket.TCP_NOTSENT_LOWAT) == tcp_options.UNSENT
        assert not tcp_options.peer_is_gone(peer.transport)


@on_uvloop
async def test_a_peer_that_reads_nothing_is_cut_off_by_the_kernel_in_time(quick: None) -> None:
    async with connected("127.0.0.1") as (peer, _):
        peer.transport.write(bytes(FLOOD))
        async with asyncio.timeout(20):
            await peer.lost


@on_uvloop
async def test_a_peer_that_reads_nothing_is_kept_where_the_link_is_patient_and_whole_afterwards(quick: None) -> None:
    async with connected("127.0.0.1") as (peer, process):
        peer.transport.write(bytes(FLOOD))
        tcp_options.be_patient(peer.transport, True)
        for _ in range(8):
            await asyncio.sleep(0.5)
            assert not tcp_options.peer_is_gone(peer.transport)
        assert not peer.lost.done()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("read\n")
        process.stdin.flush()
        assert await asyncio.to_thread(process.stdout.readline) == "whole\n"
        tcp_options.be_patient(peer.transport, False)
        assert option(peer, socket.TCP_USER_TIMEOUT) == 1000


@on_uvloop
async def test_what_waits_in_the_kernel_for_a_peer_is_known() -> None:
    async with connected("127.0.0.1") as (peer, process):
        assert not tcp_options.takes_slowly(peer.transport, 10)
        peer.transport.write(bytes(5 * SMALL))
        assert peer.transport.get_write_buffer_size() == 0
        await asyncio.sleep(0.1)
        assert tcp_options.takes_slowly(peer.transport, 10)
        assert process.stdin is not None
        process.stdin.write("read\n")
        process.stdin.flush()
        await until(lambda: not tcp_options.takes_slowly(peer.transport, 10))


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


@pytest.fixture
def link() -> Iterator[tuple[str, str]]:
    """A pair of virtual links: the name of the near end, and the network namespace at the far one."""
    name = f"mf{uuid.uuid4().hex[:8]}"
    try:
        ip("netns", "add", name)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"network namespaces cannot be made here: {error}")
    try:
        ip("link", "add", f"{name}a", "type", "veth", "peer", "name", f"{name}b", "netns", name)
        ip("addr", "add", "10.213.47.1/30", "dev", f"{name}a")
        ip("link", "set", f"{name}a", "up")
        ip("-n", name, "addr", "add", "10.213.47.2/30", "dev", f"{name}b")
        ip("-n", name, "link", "set", f"{name}b", "up")
        yield f"{name}a", name
    finally:
        ip("netns", "del", name)


@pytest.mark.skipif(KERNEL < (6, 15), reason="the kernel probes too rarely to wait for")
@on_uvloop
async def test_a_peer_that_goes_silently_while_it_reads_nothing_is_found(quick: None, link: tuple[str, str]) -> None:
    near, namespace = link
    async with connected("10.213.47.1", ("ip", "netns", "exec", namespace)) as (peer, _):
        peer.transport.write(bytes(FLOOD))
        tcp_options.be_patient(peer.transport, True)
        await asyncio.sleep(3)
        assert not tcp_options.peer_is_gone(peer.transport)
        ip("link", "set", near, "down")
        async with asyncio.timeout(20):
            while not tcp_options.peer_is_gone(peer.transport):
                await asyncio.wait([peer.lost], timeout=0.1)
        assert not peer.lost.done()
