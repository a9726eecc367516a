"""Between `run --reload` and the processes it runs: when to begin, and the socket on which they listen in turn.

The reloader keeps a copy of the listening socket, so that who connects while no process serves waits for the next one
instead of being refused: a page that comes back, a person who reloads. And it has a process ready before it needs one,
which has imported what does not change and waits to be told. Needs descriptors that can be passed on, as POSIX has
them; elsewhere a process is told nothing and binds the port itself.
"""

from __future__ import annotations

import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

IS_POSSIBLE = hasattr(socket, "send_fds") and sys.platform != "win32"
_HOST_BYTES = 1024  # more than a name has
_ALONE, _SHARED = b"1", b"n"  # before the host of a listener that is left


class Child:
    """A process of the command, which begins when it is told to.

    Args:
        command: starts it.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._link: socket.socket | None = None
        if not IS_POSSIBLE:
            self.process = subprocess.Popen(command)
            return
        self._link, theirs = socket.socketpair()
        # Ctrl-C reaches every process of the terminal; one that has not begun leaves it to us to end it, quietly.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            with theirs:
                number = theirs.fileno()
                self.process = subprocess.Popen([*command, "--handover", str(number)], pass_fds=(number,))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def begin(self, kept: KeptListener | None) -> None:
        """Tell it to begin, and to listen on this socket."""
        if self._link is not None:
            with suppress(OSError):  # it has ended, as what waits for it finds out
                sockets = [kept.listener.fileno()] if kept else []
                socket.send_fds(self._link, [kept.host if kept else b"-"], sockets)

    def listener(self) -> KeptListener | None:
        """Return a copy of the socket it listens on, once after it has started."""
        if self._link is None or not select.select([self._link], [], [], 0)[0]:
            return None
        return _receive(self._link)

    def forget(self) -> None:
        """Have it end if it has not begun."""
        if self._link is not None:
            self._link.close()


class KeptListener:
    """A listening socket.

    Args:
        listener: itself.
        host: it was asked to listen on.
        shared: whether workers of the process that left it hold it too, and may outlive that where it is killed.
    """

    def __init__(self, listener: socket.socket, host: bytes, *, shared: bool = False) -> None:
        self.listener = listener
        self.host = host
        self.shared = shared


class Handover:
    """A process's own end.

    Args:
        number: of the descriptor it was given.
    """

    def __init__(self, number: int) -> None:
        self._link = socket.socket(fileno=number)
        self._link.set_inheritable(False)
        self._kept: KeptListener | None = None
        self._told = False

    def wait(self, import_ahead: Callable[[], None]) -> None:
        """Wait until it is time to begin; what it imports meanwhile it need not import then.

        Raises:
            SystemExit: the reloader has ended.
        """
        if not select.select([self._link], [], [], 0)[0]:
            import_ahead()
        data, numbers, _, _ = socket.recv_fds(self._link, _HOST_BYTES, 1)
        if not data:
            raise SystemExit(0)
        if numbers:
            self._kept = KeptListener(socket.socket(fileno=numbers[0]), data)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

    def take(self, host: str, bind: Callable[[], socket.socket]) -> socket.socket:
        """Return the socket of the process before, or bind one where there is none for this host."""
        kept, self._kept = self._kept, None
        if kept is None:
            return bind()
        if kept.host == host.encode() and kept.listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return kept.listener
        with suppress(OSError):
            kept.listener.shutdown(socket.SHUT_RDWR)  # for every copy: then its port can be bound
        kept.listener.close()
        return bind()

    def leave(self, host: str, listener: socket.socket, *, shared: bool) -> None:
        """Leave a copy of the socket to the reloader, see `KeptListener`."""
        with suppress(OSError):  # it has ended
            socket.send_fds(self._link, [(_SHARED if shared else _ALONE) + host.encode()], [listener.fileno()])


def _receive(link: socket.socket) -> KeptListener | None:
    try:
        data, numbers, _, _ = socket.recv_fds(link, _HOST_BYTES, 1)
    except OSError:
        return None
    return KeptListener(socket.socket(fileno=numbers[0]), data[1:], shared=data[:1] == _SHARED) if numbers else None
