"""A user who has all the connections they may have, and comes with one more.

Some of theirs may be gone without a word: pages that were left, machines that sleep. So they are pinged, and the
newcomer waits for a moment; the oldest of those that do not answer, or take nothing, gives way. Where all answer, the
newcomer is refused with a code that lets them come again later.

Owns the questions under way. Time is the hub's clock; `tick` is called by its heartbeat.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from messageflow.core.codes import NO_PONG
from messageflow.hub.runtime import Runtime
from messageflow.hub.session import Session

PATIENCE = 2.0  # seconds a connection has to answer while somebody waits for its place


class _Question:
    """One round of pings to the connections of a user."""

    def __init__(self, silent: dict[Session, None], until: float) -> None:
        self.silent = silent  # in the order in which they came
        self.until = until
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()


def _is_to_answer(session: Session) -> bool:
    """Whether silence tells anything of a session: who cannot answer is there as long as it takes what is written."""
    return not session.encoder.one_way or session.paused or session.connection.buffered > 0


class ConnectionsPerUser:
    """The cap on connections of each user of one hub.

    Args:
        runtime: clock and limits.
        users: the sessions of each user, the oldest first.
    """

    def __init__(self, runtime: Runtime, users: Mapping[str, tuple[Session, ...]]) -> None:
        self._clock = runtime.clock
        self._users = users
        self._most = runtime.limits.connections_per_user  # 0 is no cap
        self._questions: dict[str, _Question] = {}  # by user

    def is_reached(self, user: str) -> bool:
        """Whether a user has all the connections they may have. People without a name have no cap."""
        return bool(self._most and user) and len(self._users.get(user, ())) >= self._most

    async def make_room(self, user: str) -> None:
        """Return once all connections of a user have answered, or the oldest of those that did not has given way."""
        question = self._questions.get(user) or self._ask(user)
        await asyncio.shield(question.over)
        silent = next(iter(question.silent), None)
        if silent is not None and self.is_reached(user):
            del question.silent[silent]
            silent.disconnect(NO_PONG, "it does not answer, and its user comes with another connection")
            silent.connection.abort()

    def _ask(self, user: str) -> _Question:
        connected = [
            session for session in self._users.get(user, ()) if session.is_connected and _is_to_answer(session)
        ]
        question = self._questions[user] = _Question(dict.fromkeys(connected), self._clock() + PATIENCE)
        for session in connected:
            if not (session.paused or session.connection.buffered):  # a ping would wait behind what it does not read
                session.pings += 1
                session.write(session.encoder.ping)
        self._end_if_answered(user, question)
        return question

    def note_heard(self, session: Session) -> None:
        """A session has answered, takes what is written to it again, or has ended."""
        question = self._questions.get(session.user)
        if question is not None:
            question.silent.pop(session, None)
            self._end_if_answered(session.user, question)

    def _end_if_answered(self, user: str, question: _Question) -> None:
        if not question.silent or not self.is_reached(user):
            self._end(user, question)

    def _end(self, user: str, question: _Question) -> None:
        if self._questions.pop(user, None) is not None:
            question.over.set_result(None)

    def tick(self, now: float) -> None:
        """Wait no longer for those whose time is over."""
        for user, question in tuple(self._questions.items()):
            if question.until <= now:
                self._end(user, question)
