"""Revoked tokens on one worker: what all nodes know of them, and the end of the sessions that stand on them.

Revocations are publications in an internal channel of the broker, so they are ordered, kept and carried as all else is:
this worker reads what there is before it lets anybody in, and hears what comes. It may hear too much or twice, for a
revocation that is known changes nothing; whenever it may have heard too little, it reads on from where it stands.

Owns one task, while there is something to read. Never writes to a session but to end it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from messageflow.brokers.base import Delivery, StreamStore
from messageflow.core.backoff import Backoff
from messageflow.core.channels import REVOKED
from messageflow.core.codes import CONNECTION_EXPIRED, UNSUBSCRIBED_EXPIRED
from messageflow.core.revocations import UNDATED, Revocation, Revocations, decode_revocation, kept_for
from messageflow.core.stream import Position, Publication
from messageflow.errors import BrokerError, Unrecoverable
from messageflow.hub.runtime import Runtime
from messageflow.hub.session import Session

log = logging.getLogger("messageflow.hub")

SLICE = 100  # sessions ended at once, about 5 ms of the event loop
CHUNK = 1000  # revocations read at once, about 2 ms of the event loop
FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0  # seconds before a read is tried again


class RevocationBroker(StreamStore, Delivery, Protocol):
    """The contracts of a broker that revocations need: they are published, heard and read again."""


class RevocationList:
    """The revocations that one hub knows.

    Args:
        runtime: tasks, wall clock and log.
        broker: carries and keeps them.
        users: the sessions of each user.
        lifetime: seconds that a token may be good for.
        withdraw: ends what a session has in the channels of a pattern by a token that was made before a date.

    Attributes:
        about_channels: empty where nothing is withdrawn, as nearly everywhere.
    """

    def __init__(
        self,
        runtime: Runtime,
        broker: RevocationBroker,
        users: Mapping[str, tuple[Session, ...]],
        lifetime: float,
        withdraw: Callable[[Session, str, float], None],
    ) -> None:
        self._runtime = runtime
        self._broker = broker
        self._users = users
        self._withdraw = withdraw
        self._known = Revocations(kept_for(lifetime))
        self.about_channels = self._known.about_channels
        self._position: Position | None = None  # up to here all is known
        self._started = False
        self._doubted = False
        self._reader: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return once all is known.

        Raises:
            BrokerError: it cannot be read.
        """
        await self._broker.subscribe(REVOKED)
        await self._read()
        self._started = True
        if self._doubted:
            self.read_again()

    def refuses(self, user: str, issued_at: float | None, token: str) -> bool:
        """Whether a token of `user` that was made at `issued_at`, if it says when, and has this `jti`, is revoked."""
        known = self._known  # asked at each connect, and most gateways know none
        return len(known) > 0 and known.refuses(user, issued_at or UNDATED, self._runtime.wall(), token)

    def withdraws(self, user: str, issued_at: float | None, channel: str) -> bool:
        """Whether what such a token says of a channel is revoked."""
        return bool(self.about_channels) and self._known.withdraws(
            user, issued_at or UNDATED, channel, self._runtime.wall()
        )

    def receive(self, epoch: str, publication: Publication) -> None:
        """Take a revocation that was just made."""
        self._apply(publication)
        position = self._position
        if position is None or position.epoch != epoch or publication.offset > position.offset + 1:
            self.read_again()
        elif publication.offset == position.offset + 1:
            self._position = Position(epoch, publication.offset, publication.tag)

    def read_again(self) -> None:
        """Something may have been missed: read it, soon."""
        self._doubted = True
        if self._started and self._reader is None:
            self._reader = self._runtime.spawn(self._read_on())

    async def _read_on(self) -> None:
        backoff = Backoff(FIRST_DELAY, LONGEST_DELAY, random.random)
        try:
            while self._doubted:
                self._doubted = False
                try:
                    await self._read()
                    backoff.reset()
                except BrokerError as error:
                    self._doubted = True
                    self._runtime.log_limited(logging.ERROR, "revocations_not_read", error=str(error))
                    await asyncio.sleep(backoff.fail())
        finally:
            self._reader = None

    async def _read(self) -> None:
        if self._position is not None:
            try:
                await self._read_since(self._position)
            except Unrecoverable:
                pass
            else:
                return
        await self._read_all()

    async def _read_since(self, position: Position) -> None:
        while True:
            publications, top = await self._broker.read_since(REVOKED, position, CHUNK)
            self._apply_all(publications)
            if not publications or publications[-1].offset >= top.offset:
                self._position = top
                return
            position = Position(top.epoch, publications[-1].offset, publications[-1].tag)

    async def _read_all(self) -> None:
        """Read whatever there is, be it without gaps or not."""
        epoch, offset = "", None
        while True:
            publications, top = await self._broker.read_page(REVOKED, offset, CHUNK)
            if epoch != top.epoch and offset is not None:
                epoch, offset = top.epoch, None  # offsets mean others now
                continue
            self._apply_all(publications)
            if not publications or publications[-1].offset >= top.offset:
                self._position = top
                return
            epoch, offset = top.epoch, publications[-1].offset

    def _apply_all(self, publications: list[Publication]) -> None:
        for publication in publications:
            self._apply(publication)

    def _apply(self, publication: Publication) -> None:
        try:
            revocation = decode_revocation(publication.data)
        except msgspec.MsgspecError as error:
            self._runtime.log_limited(logging.ERROR, "revocation_not_understood", error=str(error))
            return
        if not self._known.add(revocation, self._runtime.wall()):
            return
        self._runtime.counters.revocations_forgotten = self._known.forgotten
        sessions = self._users.get(revocation.user, ())
        self._carry_out(revocation, sessions[:SLICE])
        if len(sessions) > SLICE:
            self._runtime.spawn(self._carry_out_in_slices(revocation, sessions[SLICE:]))

    async def _carry_out_in_slices(self, revocation: Revocation, sessions: Sequence[Session]) -> None:
        for start in range(0, len(sessions), SLICE):
            await asyncio.sleep(0)
            self._carry_out(revocation, sessions[start : start + SLICE])

    def _carry_out(self, revocation: Revocation, sessions: Sequence[Session]) -> None:
        for session in sessions:
            if revocation.channels:
                self._withdraw(session, revocation.channels, revocation.before)
            elif revocation.token:
                _end_token(session, hash(revocation.token))
            elif session.oldest_token < revocation.before:
                session.disconnect(CONNECTION_EXPIRED, "its token was revoked")


def _end_token(session: Session, name: int) -> None:
    """End what stands on one token: the connection, or subscriptions."""
    if session.token == name:
        session.disconnect(CONNECTION_EXPIRED, "its token was revoked")
    for subscription in list(session.subscriptions):
        if subscription.token is not None and subscription.token.name == name:
            session.unsubscribe(subscription.channel.name, UNSUBSCRIBED_EXPIRED)
