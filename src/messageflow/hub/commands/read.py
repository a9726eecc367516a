"""`presence`, `presence_stats` and `history`: what a client may ask about a channel.

Source: reference/native-protocol.md §2.3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from messageflow.core.channels import NamespaceOptions, Rights, may_read_history, may_see_presence
from messageflow.core.codes import (
    MALFORMED,
    NOT_AVAILABLE,
    PERMISSION_DENIED,
    UNKNOWN_CHANNEL,
    UNRECOVERABLE,
    CommandRefused,
    Disconnected,
)
from messageflow.core.protocol import (
    HistoryRequest,
    HistoryResult,
    PresenceRequest,
    PresenceResult,
    PresenceStatsResult,
    view,
)

if TYPE_CHECKING:
    from messageflow.hub.session import Session


def _allowed(
    session: Session,
    name: str,
    kept: Callable[[NamespaceOptions], bool],
    right: Callable[[str, NamespaceOptions, Rights], bool],
) -> None:
    """Refuse a question about a channel that is unknown, keeps no answer, or is not this client's to ask."""
    if not name:
        raise Disconnected(MALFORMED, "a command names no channel")
    options = session.hub.namespaces.options(name)
    if options is None:
        raise CommandRefused(UNKNOWN_CHANNEL)
    if not kept(options):
        raise CommandRefused(NOT_AVAILABLE)
    if not right(name, options, session.rights(name)):
        raise CommandRefused(PERMISSION_DENIED)


async def presence(session: Session, command_id: int, request: PresenceRequest) -> None:
    """Answer who is in a channel."""
    _allowed(session, request.channel, lambda options: options.presence, may_see_presence)
    clients = await session.hub.broker.presence(request.channel)
    session.reply(command_id, "presence", PresenceResult(clients))


async def presence_stats(session: Session, command_id: int, request: PresenceRequest) -> None:
    """Answer how many are in a channel."""
    _allowed(session, request.channel, lambda options: options.presence, may_see_presence)
    stats = await session.hub.broker.presence_stats(request.channel)
    session.reply(command_id, "presence_stats", PresenceStatsResult(stats.clients, stats.users))


async def history(session: Session, command_id: int, request: HistoryRequest) -> None:
    """Answer with a page of a channel's history: `limit` 0 only the position, -1 as many as one reply carries."""
    name, since = request.channel, request.since
    _allowed(session, name, lambda options: options.keeps_history, may_read_history)
    most = session.hub.limits.history_limit
    limit = most if request.limit < 0 else min(request.limit, most)
    page = await session.hub.broker.page(name, since.offset if since else None, limit, reverse=request.reverse)
    if since is not None and since.epoch and since.epoch != page.position.epoch:
        raise CommandRefused(UNRECOVERABLE)
    publications = [view(publication) for publication in page.publications]
    result = HistoryResult(publications, page.position.epoch, page.position.offset, page.position.tag)
    session.reply(command_id, "history", result)
