"""Slow readers: a session whose socket is full reads from history until it has caught up.

When the transport says stop, the session leaves the live set of all its channels, at a position known to the last
publication, and costs nothing while it waits. When the transport says go, it reads on from there in bounded chunks,
each only once the last was taken, and rejoins the live set where it meets it. Only where history cannot serve it, its
position out of the window or the channel without history, the channel's lag policy acts: end the connection with a
code that lets it come back (3008), or skip to the newest.

A long recovery takes the same road.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from messageflow.core.codes import INSUFFICIENT_STATE, SERVER_ERROR, SLOW
from messageflow.core.stream import Position, Publication
from messageflow.errors import BrokerError, Unrecoverable

if TYPE_CHECKING:
    from messageflow.hub.session import Session, Subscription

log = logging.getLogger("messageflow.hub")


def chunk(publications: list[Publication], count: int, size: int) -> list[Publication]:
    """Return the first publications, at most `count` and about `size` bytes of them, and at least one."""
    first = publications[:count]
    total = sum([len(publication.data) for publication in first])
    while total > size and len(first) > 1:
        total -= len(first.pop().data)
    return first


def pause(session: Session) -> None:
    """The transport's buffer is full: read nothing more from the client, and deliver nothing more."""
    if session.paused or session.closed:
        return
    session.paused = True
    session.hub.stalls.add(session)
    session.connection.pause_reading()
    session.hub.counters.fell_behind += 1
    session.hub.log_limited(logging.INFO, "lagging", client=session.client, user=session.user)
    for subscription in tuple(session.subscriptions.values()):
        if not session.closed:
            _fall_behind(session, subscription)


def _fall_behind(session: Session, subscription: Subscription) -> None:
    channel = subscription.channel
    if session not in channel.live:
        return
    if channel.options.keeps_history:
        subscription.behind = channel.fall_behind(session)
    elif channel.options.lag_policy == "skip":
        channel.fall_behind(session)  # `behind` stays None: it will rejoin wherever the others are
        session.hub.counters.skipped += 1
    else:
        session.disconnect(SLOW, f"it reads too slowly, and {channel.name} keeps no history to catch up from")


def lag_behind(session: Session, subscription: Subscription) -> None:
    """Let a session enter a channel behind the others, and catch up."""
    subscription.channel.fall_behind(session)
    _start(session)


def resume(session: Session) -> None:
    """The transport has room again: catch up, then read on from the client."""
    if not session.paused or session.closed:
        return
    session.paused = False
    session.connection.resume_reading()
    _start(session)


def _start(session: Session) -> None:
    if session.catching_up is None and not session.paused:
        session.catching_up = session.hub.spawn(_catch_up(session))


async def _catch_up(session: Session) -> None:
    """Serve the lagging subscriptions chunk by chunk until none is left or the transport is full again."""
    try:
        while not session.paused and not session.closed:
            lagging = [s for s in session.subscriptions.values() if session in (s.channel.lagging or ())]
            if not lagging:
                session.hub.counters.caught_up += 1
                return
            for subscription in lagging:
                if session.paused or session.closed:
                    return
                await _advance(session, subscription)
    except BrokerError as error:
        log.error("catch_up_failed", extra={"client": session.client, "error": str(error)})
        session.disconnect(SERVER_ERROR, str(error))
    finally:
        session.catching_up = None


async def _advance(session: Session, subscription: Subscription) -> None:
    """Take one step: send a chunk, or rejoin the live set."""
    channel, behind = subscription.channel, subscription.behind
    if behind is None or behind == channel.position:
        subscription.behind = None
        channel.go_live(session, watch=subscription.watch)
        return
    if channel.position is not None and behind.offset > channel.position.offset:
        await _be_reached(session, subscription, behind)
        return
    async with session.hub.pace.turn():
        await _read_on(session, subscription, behind)


async def _read_on(session: Session, subscription: Subscription, behind: Position) -> None:
    """Send what follows `behind`, at most a chunk and not beyond the others; rejoin them when nothing does."""
    channel, limits = subscription.channel, session.hub.limits
    try:
        history = await session.hub.reads.patiently(channel, behind, limits.history_limit)
    except Unrecoverable:
        _out_of_window(session, subscription)
        return
    if session.closed or session.paused or session.subscriptions.get(channel.name) is not subscription:
        return
    until = channel.position.offset if channel.position else history.position.offset
    # What lies above the live position is still to be flushed, and will be once the session is live.
    sendable = [p for p in history.publications if p.offset <= until]
    sent = chunk(sendable, limits.history_limit, limits.chunk_bytes)
    if sent:
        newest = sent[-1]
        subscription.behind = Position(behind.epoch, newest.offset, newest.tag)
        data = b"".join([session.wire.publication(channel.name, p) for p in sent])
        session.hub.pace.spend(len(data))
        session.write(data)
    elif channel.position is None or behind.offset >= until:
        subscription.behind = None
        channel.go_live(session, watch=subscription.watch)


async def _be_reached(session: Session, subscription: Subscription, position: Position) -> None:
    """Wait until the channel has come as far as a session that was elsewhere before."""
    channel = subscription.channel
    await asyncio.shield(session.hub.healing.look_at(channel))
    reached = channel.position is not None and channel.position.offset >= position.offset
    if session.subscriptions.get(channel.name) is subscription and not reached:
        session.disconnect(INSUFFICIENT_STATE, f"{channel.name} has not come to where the session stands")


def _out_of_window(session: Session, subscription: Subscription) -> None:
    if subscription.channel.options.lag_policy == "skip":
        session.hub.counters.skipped += 1
        subscription.behind = None
        subscription.channel.go_live(session, watch=subscription.watch)
        return
    session.disconnect(SLOW, f"it fell out of the history of {subscription.channel.name}")
