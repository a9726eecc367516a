"""The links between workers and their parent, taken hold of from outside: both ends are sockets of other processes.

The kernel gives a copy of a descriptor of any process one may trace (`pidfd_getfd`). What is done to the copy is done
to the socket: a buffer is made small, a connection ends in the middle of a frame. Never reads what the ends would read.
"""

from __future__ import annotations

import ctypes
import os
import select
import socket
import struct
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from messageflow.brokers.worker_link.framing import FrameReader
from messageflow.brokers.worker_link.socket_directory import SOCKET

GET_DESCRIPTOR = 438  # pidfd_getfd, by which number every architecture has it
PEEKED = 1 << 24
NARROWEST = 1
"""Bytes asked of the kernel for a buffer, which makes it as small as any may be."""

_credentials = struct.Struct("3i")  # process, user, group
_libc = ctypes.CDLL(None, use_errno=True)


def possible() -> bool:
    """Whether this process may take descriptors of others."""
    if not hasattr(os, "pidfd_open") or os.geteuid() != 0:
        return False
    reading, writing = os.pipe()
    try:
        with suppress(OSError):
            os.close(_copy(os.getpid(), reading))
            return True
        return False
    finally:
        os.close(reading)
        os.close(writing)


@dataclass(frozen=True, slots=True)
class WorkerLink:
    """One link.

    Args:
        worker: the process at one end.
        at_worker: its end.
        at_parent: the other.
    """

    worker: int
    at_worker: socket.socket
    at_parent: socket.socket

    @property
    def identity(self) -> int:
        """What no other link has, made anew or not."""
        return os.fstat(self.at_parent.fileno()).st_ino

    def cut(self) -> None:
        """End it in both directions; what was sent arrives before the end."""
        with suppress(OSError):  # it has ended already
            self.at_parent.shutdown(socket.SHUT_RDWR)

    def is_full(self) -> bool:
        """Whether an end can write nothing at the moment."""
        return not all(is_writable(end) for end in (self.at_worker, self.at_parent))

    def widen(self, sizes: Sequence[int]) -> None:
        """Let the worker's end and the parent's have buffers of so many bytes again, as `narrow` returned them."""
        for end, size in zip((self.at_worker, self.at_parent), sizes, strict=True):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)

    def narrow(self) -> list[int]:
        """Let both ends have the smallest buffers there are, and return what they had."""
        return [narrow(end) for end in (self.at_worker, self.at_parent)]


def narrow(end: socket.socket, size: int = NARROWEST) -> int:
    """Let an end have a buffer of so many bytes to send from, and return what it had."""
    before = end.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) // 2  # the kernel says the double of what it was told
    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
    return before


def is_writable(end: socket.socket) -> bool:
    """Whether the kernel takes anything there."""
    poll = select.poll()
    poll.register(end, select.POLLOUT)
    return bool(poll.poll(0))


def unfinished(end: socket.socket) -> int:
    """Return how many bytes there are of the last frame that waits at an end, where the rest of it is missing.

    The end must stand at the beginning of a frame, and its process must not read meanwhile.

    Raises:
        FrameError: it does not stand there; what waits tells nothing.
    """
    try:
        waiting = end.recv(PEEKED, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return 0
    frames = FrameReader().feed(waiting)
    return len(waiting) - sum(4 + len(frame) for frame in frames)


@contextmanager
def links_of(parent: int) -> Iterator[list[WorkerLink]]:
    """The links a parent has at the moment, for as long as this lasts."""
    at_parent = list(_unix_sockets(parent, lambda end: not _listens(end) and _is_ours(end.getsockname())))
    links: list[WorkerLink] = []
    try:
        for end in at_parent:
            worker = _peer(end)
            others = _unix_sockets(worker, lambda each: _is_ours(each.getpeername()))
            links += [WorkerLink(worker, other, end) for other in others]
        yield links
    finally:
        for each in (*at_parent, *(link.at_worker for link in links)):
            each.close()


def identify_links(parent: int) -> set[int]:
    """Return the identities of the links a parent has."""
    with links_of(parent) as links:
        return {link.identity for link in links}


def address_of(parent: int) -> Path | None:
    """Return where workers come to a parent; None when it is not there, or listens nowhere."""
    addresses: list[Path] = []
    for end in _unix_sockets(parent, lambda end: _listens(end) and _is_ours(end.getsockname())):
        addresses.append(Path(end.getsockname()))
        end.close()
    return addresses[0] if addresses else None


def holders(pids: Sequence[int], port: int, peers: Collection[int]) -> list[int]:
    """Return which of these processes hold a TCP connection to `port` from one of the ports `peers`."""
    inodes = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        here, there = (int(address.partition(":")[2], 16) for address in words[1:3])
        if here == port and there in peers:
            inodes.add(f"socket:[{words[9]}]")
    return [pid for pid in pids if inodes & set(_open_files(pid))]


def _open_files(pid: int) -> Iterator[str]:
    with suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                yield os.readlink(descriptor)


def _unix_sockets(pid: int, wanted: Callable[[socket.socket], bool]) -> Iterator[socket.socket]:
    """Yield copies of a process's Unix stream sockets that are wanted; none of one that is gone."""
    with suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if not os.readlink(descriptor).startswith("socket:"):
                    continue
                end = socket.socket(fileno=_copy(pid, int(descriptor.name)))
                if end.family == socket.AF_UNIX and end.type == socket.SOCK_STREAM and _wants(wanted, end):
                    yield end
                else:
                    end.close()


def _wants(wanted: Callable[[socket.socket], bool], end: socket.socket) -> bool:
    try:
        return wanted(end)
    except OSError:  # it is connected no more
        return False


def _copy(pid: int, descriptor: int) -> int:
    process = os.pidfd_open(pid)
    try:
        copied: int = _libc.syscall(GET_DESCRIPTOR, process, descriptor, 0)
    finally:
        os.close(process)
    if copied < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return copied


def _is_ours(name: object) -> bool:
    return isinstance(name, str) and "/messageflow-" in name and name.endswith(f"/{SOCKET}")


def _listens(end: socket.socket) -> bool:
    return bool(end.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _peer(end: socket.socket) -> int:
    process, _, _ = _credentials.unpack(end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _credentials.size))
    return int(process)
