"""What is done to links of workers really happens to them, and a gateway bears it."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import cast

import pytest

from messageflow.brokers.worker_link.framing import FrameError, encode_length
from tests.faults import worker_faults
from tests.faults.campaign import run
from tests.faults.flood import Floods
from tests.faults.gateway import Gateway
from tests.faults.options import Options
from tests.faults.schedule import Planned
from tests.faults.worker_faults import LinkFigures, Way, WorkerFaults, _cut_within_frame, read_figures
from tests.faults.worker_links import WorkerLink, holders, is_writable, narrow, possible, unfinished

FRAME = b"x" * 100

needs_descriptors = pytest.mark.skipif(not possible(), reason="it takes root, and pidfd_getfd")


def frame(body: bytes) -> bytes:
    return encode_length(len(body)) + body


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    yield here, there
    here.close()
    there.close()


@pytest.mark.parametrize(("sent", "bytes_of_the_last"), [(b"", 0), (frame(FRAME), 0), (frame(FRAME) * 2, 0)])
def test_whole_frames_are_no_cut_ones(
    ends: tuple[socket.socket, socket.socket], sent: bytes, bytes_of_the_last: int
) -> None:
    ends[0].sendall(sent)
    assert unfinished(ends[1]) == bytes_of_the_last


@pytest.mark.parametrize("cut", [1, 3, 4, 5, 103])
def test_a_cut_frame_is_known_by_what_there_is_of_it(ends: tuple[socket.socket, socket.socket], cut: int) -> None:
    ends[0].sendall(frame(FRAME) + frame(FRAME)[:cut])
    assert unfinished(ends[1]) == cut
    assert ends[1].recv(1000) == frame(FRAME) + frame(FRAME)[:cut]  # nothing was taken away


def test_who_was_stopped_within_a_frame_cannot_be_looked_at(ends: tuple[socket.socket, socket.socket]) -> None:
    """What waits there was taken for nothing, and looked at in vain until the time of the fault was over."""
    ends[0].sendall(frame(FRAME))
    ends[1].recv(10)
    with pytest.raises(FrameError):
        unfinished(ends[1])


@pytest.fixture
def reader() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process.pid
    process.kill()
    process.wait()


async def test_a_link_is_not_waited_for_where_its_reader_was_stopped_within_a_frame(
    ends: tuple[socket.socket, socket.socket], reader: int
) -> None:
    here, there = ends
    here.setblocking(False)
    link = WorkerLink(0, here, there)
    flowing = threading.Event()
    here.sendall(frame(FRAME))
    there.recv(10)
    assert await _cut_within_frame(reader, [Way(link, here, there)], flowing) == (0, set())
    there.recv(1000)
    here.sendall(frame(FRAME)[:60])
    assert await _cut_within_frame(reader, [Way(link, here, there)], flowing) == (60, {link.identity})
    assert not flowing.is_set()
    assert there.recv(1000) == frame(FRAME)[:60]
    assert there.recv(1000) == b""


async def test_a_link_is_cut_by_the_next_try_where_one_showed_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[float] = []

    async def try_to_cut(*arguments: object) -> tuple[int, set[int]]:
        tries.append(time.monotonic())
        return (60 if len(tries) == 3 else 0), set()

    class Links:
        pid, port, lines = 1, 1, ()

        def workers(self) -> list[int]:
            return []

    class Flood:
        @asynccontextmanager
        async def into_channel(self, *arguments: object) -> AsyncIterator[dict[int, int]]:
            yield {}

    monkeypatch.setattr(worker_faults, "identify_links", lambda pid: set())
    monkeypatch.setattr(worker_faults, "SETTLE_SECONDS", 0.01)
    monkeypatch.setattr(worker_faults, "KEPT_SECONDS", 0)
    monkeypatch.setattr(WorkerFaults, "_try_to_cut", staticmethod(try_to_cut))
    faults = WorkerFaults([cast(Gateway, Links())], cast(Floods, Flood()), print)
    assert await faults.faults["link_cut"](Planned(1, 0, "link_cut", 1, 0), random.Random(1)) == 60
    assert len(tries) == 3
    assert all(after - before >= 0.01 for before, after in pairwise(tries))  # who stood still reads meanwhile


def test_a_narrow_end_is_full_soon_and_wide_again_later(ends: tuple[socket.socket, socket.socket]) -> None:
    here, _ = ends
    before = narrow(here)
    here.setblocking(False)
    assert here.send(bytes(1 << 16)) < 1 << 13
    assert not is_writable(here)
    narrow(here, before)
    assert is_writable(here)


def test_who_holds_a_connection_is_known_by_its_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        here = client.getsockname()[1]
        assert holders([os.getpid()], port, [here]) == [os.getpid()]
        assert holders([os.getpid()], port, [port]) == []
        accepted.close()
        client.close()


def test_figures_of_links_are_read_from_metrics() -> None:
    metrics = (
        b"# HELP messageflow_broker_link_bytes_waiting Bytes that wait to be sent to workers.\n"
        b"messageflow_broker_link_bytes_waiting 8.388608e+06\n"
        b"messageflow_broker_link_publications_dropped_total 12.0\n"
    )
    assert read_figures(metrics) == LinkFigures(8 << 20, 12)
    assert read_figures(b"") == LinkFigures(0, 0, known=True)


@needs_descriptors
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["link_cut", "link_narrow", "workers_kill", "parent_files", "worker_behind"])
def test_workers_and_their_links_bear(kind: str, tmp_path: Path) -> None:
    outcome = run(Options(seed=1, seconds=8, kinds=(kind,), clients=6, producers=2, workers=2), tmp_path)
    assert outcome.verdict.good, outcome.verdict.text()
    assert {fault.kind for fault in outcome.plan} == {kind}
