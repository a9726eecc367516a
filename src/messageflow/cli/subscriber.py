"""A listener on an event stream: opens it, notices a dead link, comes back and resumes.

What it hears goes to one callback. It ends when the callback has heard enough, or with an exception when the gateway
says that there is no point in coming back.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import msgspec

from messageflow.cli.listen_protocol import Accepted, Ended, Event, ListenProtocol
from messageflow.core.backoff import pause_after
from messageflow.core.codes import TOKEN_EXPIRED, Disconnect, is_close_code
from messageflow.errors import Refused
from messageflow.publisher.stream_opening import StreamedAnswer, open_events

SILENCE = 10.0
"""Seconds beyond the ping interval after which a link counts as dead."""

EVENTS = "text/event-stream"
NO_GATEWAY = "no gateway answers at this address"
_FIRST_DELAY, _LONGEST_DELAY = 0.4, 20.0
_OPEN_TIMEOUT = 10.0
_NEVER = 3600.0
_ENVELOPE = {"as": "envelope"}


def jittered(failures: int) -> float:
    """Return a delay that spreads those who lost the same gateway."""
    return pause_after(failures, _FIRST_DELAY, _LONGEST_DELAY, random.random())


class Subscriber:
    """One listening session.

    Args:
        url: of the gateway.
        token: makes a token for each stream.
        heard: is given every event but the end of a stream; returns whether to go on.
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
            Refused: the gateway does not want this client back, or there is none.
            ConfigurationError: that is no address of a gateway.
        """
        while True:
            try:
                reason = await self._listen_once()
            except OSError as error:  # TimeoutError among them
                reason = str(error) or "no answer"
            if reason is None:
                return
            self._failures += 1
            delay = self._delay(self._failures)
            self._note(f"{reason}; trying again in {delay:.1f} s")
            await asyncio.sleep(delay)

    async def _listen_once(self) -> str | None:
        """Return why the stream has ended, None where enough was heard."""
        async with asyncio.timeout(_OPEN_TIMEOUT):
            answer = await open_events(self._url, self._token(), self._protocol.last_event_id, _ENVELOPE)
        try:
            if answer.status != 200:
                async with asyncio.timeout(_OPEN_TIMEOUT):
                    return explain_refusal(answer.status, await answer.read_all())
            if not answer.headers.get("content-type", "").startswith(EVENTS):
                raise Refused(answer.status, NO_GATEWAY)
            return await self._hear(answer)
        finally:
            answer.close()

    async def _hear(self, answer: StreamedAnswer) -> str | None:
        self._protocol.begin()
        patience = _OPEN_TIMEOUT
        while True:
            async with asyncio.timeout(patience):
                data = await answer.read()
            if not data:
                return "connection lost"
            for event in self._read(data):
                if isinstance(event, Ended):
                    return explain_end(event)
                if isinstance(event, Accepted):
                    self._failures = 0
                    patience = event.ping + SILENCE if event.ping else _NEVER
                if not self._heard(event):
                    return None

    def _read(self, data: bytes) -> list[Event]:
        try:
            return self._protocol.receive(data)
        except ValueError:
            raise Refused(200, NO_GATEWAY) from None


class _Error(msgspec.Struct):
    code: int
    message: str


class _Refusal(msgspec.Struct):
    error: _Error


def explain_refusal(status: int, body: bytes) -> str:
    """Return why no stream was given, where that may pass.

    Raises:
        Refused: it will not.
    """
    try:
        error = msgspec.json.decode(body, type=_Refusal).error
    except msgspec.MsgspecError:  # of a proxy, or of another program
        error = _Error(status, NO_GATEWAY if status == 404 else "refused")
    if status == 429 or status >= 500:
        return f"HTTP {status}" if error.code == status else f"{error.message} ({error.code})"
    if error.code == TOKEN_EXPIRED.code:
        return error.message
    raise Refused(error.code, error.message)


def explain_end(event: Ended) -> str:
    """Return why a stream has ended, where it is worth coming back.

    Raises:
        Refused: it is not.
    """
    if is_close_code(event.code) and not Disconnect(event.code, event.reason).reconnect:
        raise Refused(event.code, event.reason)
    return f"{event.reason} ({event.code})"
