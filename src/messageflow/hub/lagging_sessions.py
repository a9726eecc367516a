"""Slow readers: a session whose socket is full goes on from memory, or from the history, until it has caught up.

When the transport says stop, the session leaves the live set of all its channels, at a position known to the last
publication, and costs nothing while it waits. When the transport says go, it takes what it missed from the channel's
backlog, as it was written to the others, and rejoins the live set where it meets it. What has left the backlog it
reads from the history, in bounded chunks and within the pace of all reads, each only once the last was taken. Only
where neither can serve it, its position out of the window or the channel without history, the channel's lag policy
acts: end the connection with a code that lets it come back (3008), or skip to the newest.

A long recovery takes the same road.
"""

from __future__ import annotations

import asyncio
import logging

from messageflow.core.codes import INSUFFICIENT_STATE, SERVER_ERROR, SLOW
from messageflow.core.exclusion import collect_excluded, is_named, leave_out
from messageflow.core.stream import Position, Publication
from messageflow.core.weights import chunk
from messageflow.errors import BrokerError, Unrecoverable
from messageflow.hub.backlog import FROM_HISTORY, Backlogs
from messageflow.hub.channel import Channel
from messageflow.hub.gap_repair import GapRepair
from messageflow.hub.history_reader import Chunk, HistoryReader
from messageflow.hub.recovery_rate_limiter import RecoveryRateLimiter
from messageflow.hub.runtime import Runtime
from messageflow.hub.session import Session
from messageflow.hub.subscription import Subscription

log = logging.getLogger("messageflow.hub")


class LaggingSessions:
    """The way of the sessions of one hub from behind back among the live ones.

    Args:
        runtime: tasks, limits, log and counters.
        backlogs: what channels keep in memory for those who are a little behind.
        reader: gives what they do not.
        limiter: how fast that is given out.
        gap_repair: brings a channel to where a session stands that has seen more.
    """

    def __init__(
        self,
        runtime: Runtime,
        backlogs: Backlogs,
        reader: HistoryReader,
        limiter: RecoveryRateLimiter,
        gap_repair: GapRepair,
    ) -> None:
        self._runtime = runtime
        self._limits = runtime.limits.history
        self._backlogs = backlogs
        self._reader = reader
        self._limiter = limiter
        self._gap_repair = gap_repair

    def pause(self, session: Session) -> None:
        """The transport's buffer is full: deliver nothing more. What the client asks for waits in the session."""
        if session.paused or session.closed:
            return
        session.paused = True
        self._runtime.counters.fell_behind += 1
        self._runtime.log_limited(logging.INFO, "lagging", client=session.client, user=session.user)
        for subscription in tuple(session.subscriptions):
            if not session.closed:
                self._fall_behind(session, subscription)

    def _fall_behind(self, session: Session, subscription: Subscription) -> None:
        channel = subscription.channel
        if session not in channel.live:
            return
        backlog = channel.fall_behind(session, self._backlogs)
        if channel.options.keeps_history:
            subscription.behind = channel.position
        elif channel.options.lag_policy == "skip":
            backlog.readers[session] = FROM_HISTORY  # where there is none: it will rejoin wherever the others are
            self._runtime.counters.skipped += 1

    def begin(self, session: Session, subscription: Subscription) -> None:
        """Let a session enter a channel behind the others, and catch up."""
        channel = subscription.channel
        backlog = channel.fall_behind(session, self._backlogs)
        if subscription.behind != channel.position:
            backlog.readers[session] = FROM_HISTORY
        self._start(session)

    def resume(self, session: Session) -> None:
        """The transport has room again: catch up, then carry out what the client has asked for."""
        if not session.paused or session.closed:
            return
        session.paused = False
        if session.catching_up is None:
            for subscription in tuple(session.subscriptions):
                self._write_from_backlog(session, subscription)
            if not session.paused and not self._lagging(session):
                self._runtime.counters.caught_up += 1
            else:
                self._start(session)
        session.go_on()

    def _write_from_backlog(self, session: Session, subscription: Subscription) -> bool:
        """Write from the backlog until the transport is full or the session is live. Returns whether it was any use."""
        channel = subscription.channel
        backlog = channel.backlog
        if backlog is None or session not in backlog.readers:
            return True
        number = backlog.find_place(session, subscription.behind)
        if number is None:
            return False
        while not session.paused and not session.closed:
            batch = backlog.get(number)
            encoding = channel.encoding_of(session)
            data = batch.data.get(encoding) if batch is not None else None
            if batch is None:
                break
            if data is None:  # it is not in its encoding, and what follows in it is for later
                backlog.readers[session] = FROM_HISTORY
                return False
            number += 1
            backlog.readers[session], subscription.behind = number, batch.end
            in_part = bool(batch.publications) and is_named(session, collect_excluded(batch.publications))
            if in_part:
                data = encoding.mixed(channel.name, leave_out(batch.publications, session))
            channel.note_written(session, in_part=in_part)
            if data:
                session.write(data)
        if number == backlog.next and not session.paused and not session.closed:
            subscription.behind = None
            channel.go_live(session, watch=subscription.terms.watch)
        return number == backlog.next or session.paused

    @staticmethod
    def _lagging(session: Session) -> list[Subscription]:
        return [s for s in session.subscriptions if session in s.channel.lagging]

    def _start(self, session: Session) -> None:
        if session.catching_up is None and not session.paused:
            session.catching_up = self._runtime.spawn(self._catch_up(session))

    async def _catch_up(self, session: Session) -> None:
        """Serve the lagging subscriptions chunk by chunk until none is left or the transport is full again."""
        try:
            while not session.paused and not session.closed:
                lagging = self._lagging(session)
                if not lagging:
                    self._runtime.counters.caught_up += 1
                    return
                for subscription in lagging:
                    if session.paused or session.closed:
                        return
                    await self._advance(session, subscription)
        except BrokerError as error:
            log.error("catch_up_failed", extra={"client": session.client, "error": str(error)})
            session.disconnect(SERVER_ERROR, str(error))
        finally:
            session.catching_up = None

    async def _advance(self, session: Session, subscription: Subscription) -> None:
        """Take one step: go on from memory, send a chunk, or rejoin the live set."""
        if self._write_from_backlog(session, subscription):
            return
        channel, behind = subscription.channel, subscription.behind
        if behind is None:
            self._go_on_without_position(session, subscription)
        elif behind == channel.position:
            self._rejoin(session, subscription)
        elif channel.position is not None and behind.offset > channel.position.offset:
            await self._wait_for_others(session, subscription, behind)
        else:
            async with self._limiter.turn():
                await self._read_on(session, subscription, behind)

    def _rejoin(self, session: Session, subscription: Subscription) -> None:
        subscription.behind = None
        subscription.channel.go_live(session, watch=subscription.terms.watch)

    async def _read_on(self, session: Session, subscription: Subscription, behind: Position) -> None:
        """Send what follows `behind`, at most a chunk and not beyond the others; rejoin them when nothing does."""
        channel = subscription.channel
        place = (channel, behind, channel.lasting_encoding_of(session))
        found = self._reader.chunks.get(place)
        if found is None or is_named(session, found.excludes):
            try:
                history = await self._reader.read_patiently(channel, behind, self._limits.history_limit)
            except Unrecoverable:
                self._leave_window(session, subscription)
                return
            until = channel.position.offset if channel.position else history.position.offset
            # What lies above the live position is still to be flushed, and will be once the session is live.
            found = self._encode(session, channel, [p for p in history.publications if p.offset <= until], behind)
            if not is_named(session, found.excludes):
                self._reader.chunks.put(place, found)
        if session.closed or session.paused or session.find_subscription(channel.name) is not subscription:
            return
        if found.data:
            subscription.behind = found.end
            self._limiter.spend(len(found.data))
            channel.note_written(session, in_part=is_named(session, found.excludes))
            session.write(found.data)
        elif channel.position is None or behind.offset >= channel.position.offset:
            self._rejoin(session, subscription)

    def _encode(self, session: Session, channel: Channel, publications: list[Publication], behind: Position) -> Chunk:
        """Return the first of the publications as they are written; they end where the backlog goes on, if it does."""
        limits, backlog, encoding = self._limits, channel.backlog, channel.lasting_encoding_of(session)
        sent = chunk(publications, limits.history_limit, limits.chunk_bytes)
        if backlog is not None:
            met = (number for number, publication in enumerate(sent, 1) if backlog.holds(publication.offset, encoding))
            sent = sent[: next(met, len(sent))]
        if not sent:
            return Chunk(b"", behind)
        end, excludes = Position(behind.epoch, sent[-1].offset, sent[-1].tag), collect_excluded(sent)
        if is_named(session, excludes):
            return Chunk(encoding.mixed(channel.name, leave_out(sent, session)), end, excludes)
        data = encoding.publications(channel.name, sent, secret=not channel.options.compress)
        return Chunk(data, end, excludes)

    async def _wait_for_others(self, session: Session, subscription: Subscription, position: Position) -> None:
        """Wait until the channel has come as far as a session that was elsewhere before."""
        channel = subscription.channel
        await asyncio.shield(self._gap_repair.look_at(channel))
        reached = channel.position is not None and channel.position.offset >= position.offset
        if session.find_subscription(channel.name) is subscription and not reached:
            session.disconnect(INSUFFICIENT_STATE, f"{channel.name} has not come to where the session stands")

    def _go_on_without_position(self, session: Session, subscription: Subscription) -> None:
        """The channel keeps no history, and the backlog does not reach so far."""
        channel = subscription.channel
        if channel.options.keeps_history or channel.options.lag_policy == "skip":
            self._rejoin(session, subscription)
        else:
            session.disconnect(SLOW, f"it reads too slowly, and {channel.name} keeps no history to catch up from")

    def _leave_window(self, session: Session, subscription: Subscription) -> None:
        if subscription.channel.options.lag_policy == "skip":
            self._runtime.counters.skipped += 1
            subscription.channel.note_written(session, in_part=True)
            self._rejoin(session, subscription)
            return
        session.disconnect(SLOW, f"it fell out of the history of {subscription.channel.name}")
