"""What the parent of several workers says of one that died, and what it tells one that begins."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import sys
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
import uvloop

from messageflow.brokers.broker_options import BrokerOptions
from messageflow.core.namespaces import NamespaceOptions, Namespaces
from messageflow.errors import ConfigurationError
from messageflow.gateway.settings import Settings
from messageflow.gateway.token_policy import TokenPolicy
from messageflow.gateway.workers import worker
from messageflow.gateway.workers.supervisor import Supervisor, _why
from messageflow.gateway.workers.worker_config import (
    NO_LENDING,
    WorkerConfig,
    decode_config,
    encode_address,
    encode_config,
)
from messageflow.hub.heartbeat_limits import HeartbeatLimits
from messageflow.hub.limits import Limits
from messageflow.version import VERSION


@pytest.mark.parametrize(
    ("code", "why"), [(0, "exit status 0"), (3, "exit status 3"), (-9, "SIGKILL"), (-11, "SIGSEGV"), (-99, "signal 99")]
)
def test_why_a_worker_died_is_said_in_words(code: int, why: str) -> None:
    assert _why(code) == why


@pytest.mark.parametrize("free", [0, 2, 3])
def test_a_worker_that_cannot_be_started_for_want_of_open_files_says_so(free: int) -> None:
    """Where none is left for the pair of sockets uvloop says -1, of which nobody knows what to do."""

    async def start(listener: socket.socket) -> None:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        taken = [os.dup(listener.fileno())]
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/dev/fd"))) + 1 + free, limits[1]))
        try:
            with suppress(OSError):
                while True:
                    taken.append(os.dup(listener.fileno()))
            for each in taken[len(taken) - free :]:
                os.close(each)
                taken.remove(each)
            ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            supervisor = Supervisor(Settings(workers=2), [sys.executable, "-S", "-c", ""])
            with pytest.raises(OSError, match="Too many open files"):
                await supervisor._run_worker(1, "1-abc", listener, ready, NO_LENDING)
        finally:
            for each in taken:
                os.close(each)
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(start(listener))


def test_a_worker_is_told_every_setting() -> None:
    namespaces = Namespaces(
        NamespaceOptions(history_size=1),
        {"chat": NamespaceOptions(presence=True)},
        personal=NamespaceOptions(history_size=2),
        broadcast=NamespaceOptions(history_size=3),
        patterns={"org-*": NamespaceOptions(history_size=4)},
    )
    settings = Settings(
        data_dir=Path("/data"),
        tls_cert=Path("/cert.pem"),
        dev=True,
        trusted_proxies=("10.0.0.0/8",),
        namespaces=namespaces,
        limits=Limits(heartbeat=HeartbeatLimits(ping_interval=7)),
        tokens=TokenPolicy(token_secret=("one", "two")),
    )
    config = WorkerConfig(settings, 3, 4, "ipc:///x/y", "1-abc", 1, "module:app", Path("/project"))
    line = encode_config(config)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    told = decode_config(line)
    for name in Settings.__struct_fields__:
        if name != "namespaces":
            assert getattr(told.settings, name) == getattr(settings, name), name
    for part in ("default", "named", "personal", "broadcast", "patterns"):
        assert getattr(told.settings.namespaces, part) == getattr(namespaces, part)
    assert msgspec.structs.astuple(told)[1:] == msgspec.structs.astuple(config)[1:]


async def test_workers_wait_for_the_broker_as_long_as_one_start_does_and_the_later_ones_not_again(
    tmp_path: Path,
) -> None:
    told = tmp_path / "told"
    script = f"import sys; open({str(told)!r}, 'a').write(sys.stdin.readline()); raise SystemExit(1)"
    settings = Settings(
        port=0, workers=1, streams=BrokerOptions(broker="redis://127.0.0.1:1", broker_start_timeout=0.01)
    )
    with pytest.raises(ConfigurationError, match="do not start"):
        await Supervisor(settings, [sys.executable, "-S", "-c", script]).run()
    patience = [decode_config(line).settings.streams.broker_start_timeout for line in told.read_bytes().splitlines()]
    assert patience[0] <= 0.01
    assert patience[1:] == [0.0, 0.0]


@pytest.mark.parametrize("theirs", [b'"99.0.0"', b'""'])
def test_a_worker_of_another_version_says_so_and_what_to_do(theirs: bytes) -> None:
    ours = msgspec.json.encode(VERSION)
    line = encode_config(WorkerConfig(Settings(), 3, 4, "/x/parent", "1-abc", 1))
    assert line.count(ours) == 1
    decode_config(line)
    with pytest.raises(ConfigurationError, match="another version was installed while it ran"):
        decode_config(line.replace(ours, theirs))
    with pytest.raises(ConfigurationError, match="Restart the gateway"):
        decode_config(b'{"version":' + theirs + b',"what":"only that version knows"}')


@pytest.mark.parametrize(("more", "address"), [(b"", "/x/parent"), (encode_address("/y/parent"), "/y/parent")])
def test_a_worker_learns_where_its_broker_moved_before_it_began(
    more: bytes, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    monkeypatch.setattr(worker, "STDIN", reading)
    os.write(writing, encode_config(WorkerConfig(Settings(), 3, 4, "/x/parent", "1-abc", 1)) + more)
    assert worker.read_config().broker == address
    os.close(reading)
    os.close(writing)


def test_what_is_no_order_is_refused() -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_config(b"")
