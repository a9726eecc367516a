"""The process's limit of open files, each connection being one: raised at the start, and counted now and then.

The soft limit is often 1,024, for the sake of programs that use `select`, while the hard one, up to which every process
may raise its own, is a hundred times that. What is started by this process inherits the raised limit.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from messageflow.errors import ConfigurationError

MOST = 1 << 20  # beyond it no worker goes, and some programs close as many descriptors one by one before they start
LEAST = 64  # half of them are the gateway's own; the rest it keeps from browsers
RAISE = "raise the limit of open files (LimitNOFILE= of the systemd unit, --ulimit nofile= of docker run, ulimit -Hn)"
WAY_OUT = f"{RAISE}, or start another worker or gateway"


class OpenFilesLimit(NamedTuple):
    """The limit of a process; `NO_LIMIT` where the system has none."""

    soft: int
    hard: int


NO_LIMIT = OpenFilesLimit(0, 0)


def read_limit() -> OpenFilesLimit:
    """Return the limit of this process."""
    try:
        import resource
    except ImportError:  # Windows
        return NO_LIMIT
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    return OpenFilesLimit(MOST if soft == unlimited else soft, MOST if hard == unlimited else hard)


def raise_limit() -> int:
    """Raise the soft limit to the hard one, at most to `MOST`, and return what it is; 0 for none.

    Raises:
        ConfigurationError: it is so low that nobody could be served.
    """
    limit = _raise_limit()
    if 0 < limit < LEAST:
        raise ConfigurationError(f"a process may have {limit} files open here, and a gateway needs {LEAST}: {RAISE}")
    return limit


def _raise_limit() -> int:
    soft, hard = read_limit()
    wanted = min(hard, MOST)
    if wanted <= soft:
        return soft
    import resource

    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    except (OSError, ValueError):  # macOS has a limit of its own beside the hard one
        pass
    return read_limit().soft


def count_open() -> int | None:
    """Return how many files this process has open, None where that cannot be known without a look at each.

    Linux says it as the size of a directory, from 6.2 on: 2 µs, where a list of 15,000 takes 22 ms and a descriptor.
    """
    try:
        return os.stat("/proc/self/fd").st_size or None
    except OSError:
        return None


def list_open() -> int | None:
    """Return the same by a look at each, None where there is no such list or no descriptor to read it with."""
    for directory in ("/proc/self/fd", "/dev/fd"):
        try:
            return len(os.listdir(directory)) - 1
        except OSError:
            continue
    return None
