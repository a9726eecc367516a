"""`send`: what a client tells the application.

Without an id nobody waits for it, as with official SDKs. With one it is answered once it was handled; with a key it is
handled once, however often it is sent, whichever worker or node gets it (`reserve` of the broker). A handler that has
begun goes on to its end where its client leaves, so that a repetition finds what came of it.

Never tells a client that something was handled which may not have been, or the other way round.

Source: docs/protocol.md, "Once".
"""

from __future__ import annotations

import asyncio
import logging
import random

import msgspec

from messageflow.core.backoff import Backoff
from messageflow.core.codes import (
    BAD_REQUEST,
    INTERNAL,
    NOT_AVAILABLE,
    OUTCOME_UNKNOWN,
    CommandRefused,
    Disconnected,
    ErrorCode,
)
from messageflow.core.protocol import EmptyResult, SendRequest
from messageflow.core.reservations import RUNNING, UNKNOWN, Reservation
from messageflow.errors import BrokerError
from messageflow.hub.commands.publish import KEY_LENGTH
from messageflow.hub.hook_calls import PATIENCE, Hook, describe
from messageflow.hub.hooks import ClientEvent, ClientView
from messageflow.hub.services import Services
from messageflow.hub.session import Session

log = logging.getLogger("messageflow.hub")

HANDLED_ONCE = "keyed send"  # the name of tasks that carry one out
SETTLED_LATER = "keyed send, settled later"  # of tasks that end with the hub
SETTLES, LONGEST_SETTLE = 24, 5.0  # attempts to store an outcome that failed, and seconds between two: about 80 s
FIRST_LOOK, LONGEST_LOOK = 0.02, 0.5  # seconds between two looks at what another node handles
GRACE = 2.0  # seconds beyond the time of a hook in which the node that has it should have said what came of it

_read_error = msgspec.json.Decoder(ErrorCode).decode


async def send(services: Services, session: Session, command_id: int, request: SendRequest) -> None:
    """Hand a message to the application, where it takes any.

    One that nobody takes is dropped, counted, and the log says it. Ending the connection for good, as Centrifugo does
    with 3508, would cost a page its pushes for a message that promises nothing.
    """
    hook = services.hooks.event
    if hook is None:
        _note_dropped(services, session)
        raise CommandRefused(NOT_AVAILABLE)
    event = ClientEvent(describe(session), bytes(request.data))
    if request.key:
        await _handle_once(services, session, hook, event, request)
    elif command_id:
        await hook.ask(event)
    else:
        await hook.tell(event)
    if command_id:
        session.reply(command_id, "send", EmptyResult())


def _note_dropped(services: Services, session: Session) -> None:
    runtime = services.runtime
    runtime.counters.messages_dropped += 1
    runtime.log_limited(
        logging.WARNING, "message_dropped", client=session.client, reason="no application takes messages"
    )


async def _handle_once(
    services: Services, session: Session, hook: Hook[ClientEvent, None], event: ClientEvent, request: SendRequest
) -> None:
    """Let the application handle what has a key, or learn what came of it.

    Raises:
        CommandRefused: it was refused, now or the time before, or what came of it is not known.
        Disconnected: it is refused with a close code, now.
    """
    if len(request.key) > KEY_LENGTH:
        raise CommandRefused(BAD_REQUEST, f"a key has at most {KEY_LENGTH} characters")
    runtime = services.runtime
    age = None if request.age is None else request.age / 1000 + session.waited(runtime.clock())
    found = await _attempt(services, hook, event, request.key, age)
    if found is None:
        return
    runtime.counters.sends_repeated += 1
    pause, patience = FIRST_LOOK, runtime.limits.hooks.hook_timeout + PATIENCE + GRACE
    while found == RUNNING and patience > 0:
        await asyncio.sleep(pause)
        patience -= pause
        pause = min(2 * pause, LONGEST_LOOK)
        found = await _attempt(services, hook, event, request.key, 0.0)
        if found is None:
            return
    if found in (RUNNING, UNKNOWN):
        runtime.counters.sends_unknown += 1
        raise CommandRefused(OUTCOME_UNKNOWN)
    if found.outcome:
        raise CommandRefused(_read_error(found.outcome))


async def _attempt(
    services: Services, hook: Hook[ClientEvent, None], event: ClientEvent, key: str, age: float | None
) -> Reservation | None:
    """Handle it, None, if it is for this node to do; return what another has made of it, or makes.

    Cancelling it, as when the client leaves, leaves it to go on to its end.
    """
    attempt = _reserve_and_handle(services, hook, event, key, age)
    outcome = await asyncio.shield(services.runtime.spawn(attempt, name=HANDLED_ONCE))
    if isinstance(outcome, CommandRefused | Disconnected | BrokerError):
        raise outcome
    return outcome


async def _reserve_and_handle(
    services: Services, hook: Hook[ClientEvent, None], event: ClientEvent, key: str, age: float | None
) -> Reservation | CommandRefused | Disconnected | BrokerError | None:
    broker, user = services.broker, event.client.user
    try:
        found = await broker.reserve(user, key, age)
    except BrokerError as error:
        return error
    if found.state != "mine":
        return found
    refusal: CommandRefused | Disconnected | None = None
    try:
        await hook.ask(event)
    except (CommandRefused, Disconnected) as raised:
        refusal = raised
    outcome = _encode_outcome(refusal)
    try:
        await broker.settle(user, key, outcome)
    except BrokerError as error:  # who asks now is told what is known
        if outcome is None:  # again, it could give away what somebody else has reserved meanwhile
            log.error("outcome_not_stored", extra={"client": event.client.client, "error": str(error)})
        else:
            services.runtime.spawn(_settle_later(services, event.client, key, outcome), name=SETTLED_LATER)
    return refusal


async def _settle_later(services: Services, client: ClientView, key: str, outcome: bytes) -> None:
    """Tell the broker what came of a key once it can be told. Until then who asks again waits, and learns it here."""
    backoff = Backoff(FIRST_LOOK, LONGEST_SETTLE, random.random)
    while True:
        await asyncio.sleep(backoff.fail())
        try:
            await services.broker.settle(client.user, key, outcome)
            return
        except BrokerError as error:
            if backoff.failures >= SETTLES:  # who asks again is told that it is unknown
                log.error("outcome_not_stored", extra={"client": client.client, "error": str(error)})
                return


def _encode_outcome(refusal: CommandRefused | Disconnected | None) -> bytes | None:
    """Return what a repetition is answered: nothing, an error; None where it is to be tried again.

    A close code ends one connection only: sent again over the next, it would end that too.
    """
    if refusal is None:
        return b""
    if isinstance(refusal, Disconnected):
        return msgspec.json.encode(ErrorCode(refusal.disconnect.code, refusal.disconnect.reason))
    if refusal.error.temporary and refusal.error != INTERNAL:
        return None
    return msgspec.json.encode(refusal.error)
