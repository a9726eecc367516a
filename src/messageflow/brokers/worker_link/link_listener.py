"""Where workers come to their parent: a socket in a directory that only this user may enter.

What a cleaner removes is made anew, at the same path where that is to be had. A process of another user is refused.
Owns the listening socket, never a connection.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable

from messageflow.brokers.worker_link.peer import StrangerError, check_peer
from messageflow.brokers.worker_link.socket_directory import SocketDirectory

log = logging.getLogger("messageflow.broker")

BACKLOG = 128
PAUSE = 0.5  # seconds after which it is tried again to accept, when the process had no room for another file


class LinkListener:
    """The listening socket.

    Args:
        directory: where it lies.
        on_accepted: is given the socket of each worker that comes.
    """

    def __init__(self, directory: SocketDirectory, on_accepted: Callable[[socket.socket], None]) -> None:
        self._directory = directory
        self._on_accepted = on_accepted
        self._listening: socket.socket | None = None
        self._identity = (0, 0)  # of the socket's file
        self._again: asyncio.TimerHandle | None = None

    @property
    def address(self) -> str:
        """The path workers connect to."""
        return self._directory.socket

    def is_reachable(self) -> bool:
        """Whether who comes by the path comes here."""
        return _identify(self.address) == self._identity

    def open(self) -> None:
        """Listen, for the first time or anew.

        Raises:
            ConfigurationError: there is no place for the socket.
        """
        self.close()
        listening = self._directory.make(_listen)
        self._listening, self._identity = listening, _identify(self.address)
        asyncio.get_running_loop().add_reader(listening, self._accept)

    def close(self) -> None:
        """Listen no longer."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self._listening is not None:
            asyncio.get_running_loop().remove_reader(self._listening)
            self._listening.close()
            self._listening = None

    def _accept(self) -> None:
        assert self._listening is not None
        for _ in range(BACKLOG):
            try:
                link, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                log.error("worker_not_accepted", extra={"error": str(error)})
                loop = asyncio.get_running_loop()
                loop.remove_reader(self._listening)
                self._again = loop.call_later(PAUSE, self._resume)
                return
            try:
                check_peer(link)
            except StrangerError as error:
                log.error("stranger_refused", extra={"error": str(error)})
                link.close()
                continue
            link.setblocking(False)
            self._on_accepted(link)

    def _resume(self) -> None:
        assert self._listening is not None
        self._again = None
        asyncio.get_running_loop().add_reader(self._listening, self._accept)
        self._accept()


def _listen(path: str) -> socket.socket:
    """Return a socket that listens at a path, where what lay there before has gone.

    Raises:
        OSError: that path will not do.
    """
    try:
        os.unlink(path)  # a socket nobody listens at any more; the directory is ours alone
    except FileNotFoundError:
        pass
    listening = socket.socket(socket.AF_UNIX)
    try:
        listening.bind(path)
        listening.listen(BACKLOG)
    except BaseException:
        listening.close()
        raise
    listening.setblocking(False)
    return listening


def _identify(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino
