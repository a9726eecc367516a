"""What the gateway asks of the kernel about its TCP connections: how long to wait for a peer, and whether it is there.

A peer that is gone without a word (no power, no network) is found within 25 seconds: by the pings of the heartbeat
while it takes what is written, and here when it does not, since a ping would wait behind the rest.

A peer whose window is closed is alive as long as its system acknowledges the kernel's window probes. Measured on
Linux 6.18 over a pair of virtual links:

- `TCP_USER_TIMEOUT` does not care. It ends a connection whose window has been closed for that long though every probe
  was acknowledged. So it is lifted from a connection that is stalled for a while, and set again when it is not.
- Probes become rarer, twice as long apart each time, up to two minutes. With `TCP_RTO_MAX_MS`, which Linux has from
  6.15 on, they stay `LONGEST_PROBE` apart, and two of them unanswered mean that the peer is gone: within 25 seconds.
  On an older kernel the same rule takes up to two probes, four minutes, for a peer that was stalled for long before.

What waits in the kernel for a peer is bounded too, so that a stalled peer shows early and costs little there.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys

USER_TIMEOUT = 20.0  # seconds that written bytes may stay unacknowledged
LONGEST_PROBE = 5.0  # seconds between two tries to reach a peer
SILENT_AFTER = 12.0  # seconds without an acknowledgement, two tries included, after which a peer is gone
UNSENT = 65_536  # bytes the kernel takes before it has sent what it has

_TCP_RTO_MAX_MS = 44  # linux/tcp.h; the socket module does not have it
# struct tcp_info: tcpi_retransmits, tcpi_probes, tcpi_unacked, tcpi_last_ack_recv, tcpi_notsent_bytes
_INFO = struct.Struct("=2x2B20xI28xI84xI")


def prepare_listener(listener: socket.socket) -> None:
    """Set what every connection accepted from `listener` inherits. What the kernel does not know is left out."""
    if sys.platform != "linux":
        return
    for option, value in (
        (socket.TCP_USER_TIMEOUT, round(USER_TIMEOUT * 1000)),
        (socket.TCP_NOTSENT_LOWAT, UNSENT),
        (_TCP_RTO_MAX_MS, round(LONGEST_PROBE * 1000)),
    ):
        try:
            listener.setsockopt(socket.IPPROTO_TCP, option, value)
        except OSError:
            pass


def be_patient(transport: asyncio.Transport, patient: bool) -> None:
    """Let a connection wait for a peer that reads nothing, or no longer."""
    if sys.platform == "linux" and not transport.is_closing():
        timeout = 0 if patient else round(USER_TIMEOUT * 1000)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout)


def peer_is_gone(transport: asyncio.Transport) -> bool:
    """Return whether the peer's system has stopped to acknowledge what was sent to it."""
    return is_silent(_ask(transport))


def takes_slowly(transport: asyncio.Transport, seconds: float) -> bool:
    """Return whether the peer's system acknowledged something within so many seconds, and what was written not all.

    `UNSENT` bytes are 16 s of a link of 4 KB/s, and none of them waits in the transport.
    """
    return is_behind(_ask(transport), seconds)


def _ask(transport: asyncio.Transport) -> bytes:
    """Return the kernel's `struct tcp_info`, or nothing but zeros where there is none."""
    if sys.platform != "linux" or transport.is_closing():
        return bytes(_INFO.size)
    info: bytes = transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
    return info.ljust(_INFO.size, b"\0")  # an older kernel says less


def is_silent(info: bytes) -> bool:
    """Judge by the kernel's `struct tcp_info`: two tries unanswered, and nothing for a while."""
    retransmits, probes, _, since_acknowledged, _ = _INFO.unpack(info)
    return bool(retransmits + probes >= 2 and since_acknowledged >= SILENT_AFTER * 1000)


def is_behind(info: bytes, seconds: float) -> bool:
    """Judge by the same: something is on its way or was not sent, and the peer has acknowledged since then."""
    _, _, unacknowledged, since_acknowledged, unsent = _INFO.unpack(info)
    return bool(unacknowledged + unsent and since_acknowledged < seconds * 1000)
