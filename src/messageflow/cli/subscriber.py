"""A listener on a real socket: connects, answers pings, notices a dead link, comes back and resumes.

What it hears goes to one callback. It ends when the callback has heard enough, or with an exception when the gateway
says that there is no point in coming back.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from messageflow.cli.listen_protocol import PONG, Accepted, Denied, Event, ListenProtocol, Pinged
from messageflow.core.backoff import pause_after
from messageflow.core.codes import TOKEN_EXPIRED, Disconnect, is_close_code
from messageflow.core.gateway_paths import WEBSOCKET_PATH
from messageflow.errors import ConfigurationError, Refused

SILENCE = 10.0
"""Seconds beyond the ping interval after which a link counts as dead."""

_FIRST_DELAY, _LONGEST_DELAY = 0.4, 20.0
_OPEN_TIMEOUT = 10.0
_NO_ADDRESS = (  # without any part of it: what stands there may be a password
    "what is given as the address of the gateway is none: write it as http://127.0.0.1:8000"
)


def make_websocket_url(url: str) -> str:
    """Return where a gateway at `url` takes WebSockets; a `ws:` or `wss:` address with a path is taken as it is.

    Raises:
        ConfigurationError: it is neither an HTTP nor a WebSocket address.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigurationError(_NO_ADDRESS) from None
    if parts.scheme in ("ws", "wss") and parts.path.strip("/"):
        return url
    if parts.scheme not in ("http", "https", "ws", "wss") or not parts.netloc:
        raise ConfigurationError(_NO_ADDRESS)
    scheme = "wss" if parts.scheme in ("https", "wss") else "ws"
    return urlunsplit(
        (scheme, parts.netloc, parts.path.rstrip("/").removesuffix(WEBSOCKET_PATH) + WEBSOCKET_PATH, "", "")
    )


def jittered(failures: int) -> float:
    """Return a delay that spreads those who lost the same gateway."""
    return pause_after(failures, _FIRST_DELAY, _LONGEST_DELAY, random.random())


class Subscriber:
    """One listening session.

    Args:
        url: the WebSocket address.
        token: makes a token for each connection.
        heard: is given every event but pings; returns whether to go on.
        note: is told, in a phrase, when the link is lost.
        delay: seconds to wait after so many failures in a row.
    """

    def __init__(
        self,
        url: str,
        token: Callable[[], str],
        heard: Callable[[Event], bool],
        note: Callable[[str], None] = lambda _: None,
        delay: Callable[[int], float] = jittered,
    ) -> None:
        self._url = url
        self._token = token
        self._heard = heard
        self._note = note
        self._delay = delay
        self._protocol = ListenProtocol()
        self._failures = 0

    async def run(self) -> None:
        """Listen until `heard` has heard enough. Cancelling closes the connection.

        Raises:
            Refused: the gateway does not want this client back.
        """
        while True:
            try:
                if await self._connect_once():
                    return
                reason = "connection closed"
            except InvalidStatus as error:
                reason = _explain_refusal(error)
            except ConnectionClosed as error:
                reason = _explain_close(error)
            except (OSError, InvalidHandshake, TimeoutError) as error:
                reason = str(error) or "no answer"
            self._failures += 1
            delay = self._delay(self._failures)
            self._note(f"{reason}; trying again in {delay:.1f} s")
            await asyncio.sleep(delay)

    async def _connect_once(self) -> bool:
        async with connect(
            self._url, compression=None, ping_interval=None, open_timeout=_OPEN_TIMEOUT, max_size=None, proxy=None
        ) as socket:
            await socket.send(self._protocol.connect(self._token()))
            return await self._converse(socket)

    async def _converse(self, socket: ClientConnection) -> bool:
        """Return whether `heard` has heard enough."""
        patience = _OPEN_TIMEOUT
        while True:
            async with asyncio.timeout(patience):
                message = await socket.recv(decode=True)
            for event in self._protocol.receive(message):
                if isinstance(event, Pinged):
                    await socket.send(PONG)
                    continue
                if isinstance(event, Denied):
                    return _raise_unless_temporary(event)
                if isinstance(event, Accepted):
                    self._failures = 0
                    patience = event.ping + SILENCE if event.ping else 3600.0
                if not self._heard(event):
                    return True


def _raise_unless_temporary(event: Denied) -> bool:
    if event.temporary or event.code == TOKEN_EXPIRED.code:
        return False
    raise Refused(event.code, event.message)


def _explain_refusal(error: InvalidStatus) -> str:
    status = error.response.status_code
    if status == 429 or status >= 500:
        return f"HTTP {status}"
    hint = {403: "the Origin is not allowed", 404: "no gateway answers at this address"}.get(status, "refused")
    raise Refused(status, hint) from error


def _explain_close(error: ConnectionClosed) -> str:
    close = error.rcvd
    if close is None:
        return "connection lost"
    reason = close.reason or "connection closed"
    if is_close_code(close.code) and not Disconnect(close.code, reason).reconnect:
        raise Refused(close.code, reason) from error
    return f"{reason} ({close.code})"
