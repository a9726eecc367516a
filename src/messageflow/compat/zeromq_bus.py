"""The bus of the ancestors as their backends have it: a PUSH socket, over which a gateway hears what is sent.

Owns the sockets, one a process and an address. Never waits: a bus that takes nothing is an error once its queue is
full. A gateway that listens there is configured by the same variable, MESSAGEFLOW_ZEROMQ.
"""

from __future__ import annotations

import atexit
import os
import threading
from typing import TYPE_CHECKING

from messageflow.core.zeromq_addresses import parse_zeromq_address
from messageflow.errors import ConfigurationError, GatewayUnreachable
from messageflow.extras import missing

if TYPE_CHECKING:
    import zmq

VARIABLE = "MESSAGEFLOW_ZEROMQ"
HIGH_WATER = 1000  # messages that wait for the bus, the number of ZeroMQ itself
LINGER = 2000  # milliseconds in which what waits is sent as the process ends


class ZeromqBus:
    """A socket, for all threads of a process.

    Args:
        target: what it connects to.

    Raises:
        ConfigurationError: ZeroMQ is not installed.
    """

    def __init__(self, target: str) -> None:
        try:
            import zmq
        except ImportError as error:
            raise ConfigurationError(missing(error, f"pushing over ZeroMQ ({VARIABLE} is set)") or str(error)) from None
        self._full = zmq.Again
        self._target = target
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()  # a socket of ZeroMQ is one thread's at a time
        self._socket: zmq.Socket[bytes] | None = None

    def send(self, user: str, message: bytes) -> None:
        """Send a message in two parts: whom it is for, and JSON.

        Raises:
            GatewayUnreachable: as many messages as may wait do.
        """
        if self._process != os.getpid():  # the socket is the parent's, and whoever held its lock is not here
            self._begin()
        with self._lock:
            connected = self._socket = self._socket or self._connect()
            try:
                connected.send_multipart([user.encode(), message], 1)  # which is NOBLOCK
            except self._full:
                raise GatewayUnreachable(
                    f"{HIGH_WATER} messages wait for the ZeroMQ bus at {self._target}: is a gateway there, with the "
                    f"same {VARIABLE}?"
                ) from None

    def _connect(self) -> zmq.Socket[bytes]:
        import zmq

        context, process = zmq.Context(), os.getpid()
        made = context.socket(zmq.PUSH)
        made.setsockopt(zmq.SNDHWM, HIGH_WATER)
        made.setsockopt(zmq.LINGER, LINGER)
        made.connect(self._target)

        def close() -> None:
            if os.getpid() == process:  # a child has no part in it
                made.close()
                context.term()

        atexit.register(close)
        return made


_buses: dict[str, ZeromqBus] = {}


def find_bus() -> ZeromqBus | None:
    """Return the bus of this process, where one is configured for PUSH sockets.

    Raises:
        ConfigurationError: the variable holds no address, or ZeroMQ is not installed.
    """
    try:
        addresses = [parse_zeromq_address(text.strip()) for text in os.environ.get(VARIABLE, "").split(",") if text]
    except ValueError:
        raise ConfigurationError(f"{VARIABLE} must be an address such as ipc:///run/app/bus") from None
    target = next((each.target for each in addresses if not each.is_pub), None)
    if target is None:
        return None
    return _buses.get(target) or _buses.setdefault(target, ZeromqBus(target))
