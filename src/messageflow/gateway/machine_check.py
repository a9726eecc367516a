"""What the machine, or the container, allows a gateway: open files, memory, connections that wait to be accepted.

Reads what the kernel says, and judges it by what a gateway was told; changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from messageflow.core.zeromq_addresses import parse_zeromq_address
from messageflow.gateway.front_door.file_room import FileRoom
from messageflow.gateway.open_files import MOST, WAY_OUT, OpenFilesLimit, read_limit
from messageflow.gateway.settings import Settings

log = logging.getLogger("messageflow.gateway")

ENOUGH_FILES = 10_000  # connections; who wants fewer has seen to it
OWN_FILES = 40  # of a worker, besides its connections
OWN_MEMORY = 64 << 20  # bytes of a process that nobody is connected to
CONNECTION_MEMORY = 4096  # bytes of a connection
NO_MEMORY_LIMIT = 1 << 60  # bytes; what version 1 of control groups says where there is none
ROOT = Path("/")


class Machine(NamedTuple):
    """What is allowed. None: there is no limit, or it is not known.

    Args:
        files: of one process.
        memory: bytes of all processes of this container together.
        waiting: connections that the kernel holds for a listening socket at most.
    """

    files: OpenFilesLimit
    memory: int | None
    waiting: int | None

    @property
    def connections(self) -> int:
        """How many connections a worker takes, with the limit raised; 0: no limit is known."""
        room = FileRoom(min(self.files.hard, MOST))
        room.note(OWN_FILES)
        return room.for_connections


def read_machine(root: Path = ROOT) -> Machine:
    """Look at the machine; `root` is where its file systems are."""
    limits = [limit for limit in _memory_limits(root) if limit < NO_MEMORY_LIMIT]
    return Machine(read_limit(), min(limits, default=None), _number(root / "proc/sys/net/core/somaxconn"))


def _memory_limits(root: Path) -> Iterator[int]:
    """Yield the limits of the control groups of this process and of those they are in."""
    groups = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        if not controllers:
            top, name = groups, "memory.max"
        elif "memory" in controllers.split(","):
            top, name = groups / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = top / path.strip("/")
        for each in {top, group, *group.parents}:  # in a container its own group is often the top
            if each.is_relative_to(top) and (limit := _number(each / name)) is not None:
                yield limit


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # not there, or no number such as `max`
        return None


def needed_memory(settings: Settings) -> int:
    """Return the bytes that a gateway may come to use before it holds any connection back."""
    streams = settings.streams.stream_memory if settings.streams.broker in ("embedded", "memory") else 0
    parent = OWN_MEMORY if settings.workers > 1 else 0
    return streams + parent + settings.workers * (settings.limits.buffer_memory + OWN_MEMORY)


def advise(machine: Machine, settings: Settings, backlog: int) -> list[str]:
    """Return what to change, most pressing first.

    Args:
        machine: what is allowed.
        settings: of the gateway.
        backlog: connections that it asks the kernel to hold.
    """
    advice = []
    if machine.memory is not None and machine.memory < needed_memory(settings):
        advice.append(
            f"{_mib(machine.memory)} of memory are less than the {_mib(needed_memory(settings))} that streams and slow "
            "readers may fill, and the kernel kills who goes beyond: lower stream_memory and buffer_memory, or allow "
            "more"
        )
    if machine.files.hard and machine.connections < ENOUGH_FILES:
        advice.append(f"{machine.connections:,} connections are as many as a worker takes: {WAY_OUT}")
    if machine.waiting is not None and machine.waiting < backlog:
        advice.append(
            f"the kernel holds {machine.waiting:,} connections that wait to be accepted, as after a restart, and drops "
            f"the rest: sysctl net.core.somaxconn={backlog}"
        )
    advice += (
        f"whoever reaches {address} can push to everybody, for ZeroMQ asks for no key: an ipc:// path in a directory "
        "of the application's own has the permissions of files"
        for address in map(parse_zeromq_address, settings.zeromq)
        if not address.is_file
    )
    return advice


def warn_of_memory(settings: Settings) -> None:
    """Say at the start that the gateway may come to use more memory than there is."""
    memory, needed = read_machine().memory, needed_memory(settings)
    if memory is not None and memory < needed:
        log.warning(
            "memory_is_short",
            extra={"limit": memory, "needed": needed, "option": "--stream-memory and --buffer-memory, less"},
        )


def _mib(size: int) -> str:
    return f"{size // (1 << 20):,} MiB"
