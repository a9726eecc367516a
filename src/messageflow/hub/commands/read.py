"""`presence`, `presence_stats` and `history`: what a client may ask about a channel.

Source: docs/protocol.md, "Commands".
"""

from __future__ import annotations

from collections.abc import Callable

from messageflow.core.codes import (
    MALFORMED,
    NOT_AVAILABLE,
    UNKNOWN_CHANNEL,
    UNRECOVERABLE,
    CommandRefused,
    Disconnected,
)
from messageflow.core.namespaces import NamespaceOptions
from messageflow.core.permissions import Rights, may_read_history, may_see_presence
from messageflow.core.protocol import (
    HistoryRequest,
    HistoryResult,
    PresenceRequest,
    PresenceResult,
    PresenceStatsResult,
    view,
)
from messageflow.core.token_rights import Verb
from messageflow.core.weights import ENVELOPE, chunk
from messageflow.hub.commands.rights import find_refusal
from messageflow.hub.services import Services
from messageflow.hub.session import Session


async def _check_right(
    services: Services,
    session: Session,
    name: str,
    verb: Verb,
    kept: Callable[[NamespaceOptions], bool],
    right: Callable[[str, NamespaceOptions, Rights], bool],
) -> None:
    """Refuse a question about a channel that is unknown, keeps no answer, or is not this client's to ask."""
    if not name:
        raise Disconnected(MALFORMED, "a command names no channel")
    options = services.namespaces.options(name)
    if options is None:
        raise CommandRefused(UNKNOWN_CHANNEL)
    if not kept(options):
        raise CommandRefused(NOT_AVAILABLE)
    refusal = await find_refusal(services, session, verb, name, options, right)
    if refusal is not None:
        raise CommandRefused(refusal)


def _keeps_presence(options: NamespaceOptions) -> bool:
    return options.presence


async def presence(services: Services, session: Session, command_id: int, request: PresenceRequest) -> None:
    """Answer who is in a channel."""
    await _check_right(services, session, request.channel, "presence", _keeps_presence, may_see_presence)
    limiter = services.reply_limiter
    async with limiter.turn():
        clients = await services.broker.read_presence(request.channel)
        limiter.spend(session.reply(command_id, "presence", PresenceResult(clients)))


async def presence_stats(services: Services, session: Session, command_id: int, request: PresenceRequest) -> None:
    """Answer how many are in a channel. It is paced like telling who they are, since all are looked at."""
    await _check_right(services, session, request.channel, "presence", _keeps_presence, may_see_presence)
    limiter = services.reply_limiter
    async with limiter.turn():
        stats = await services.broker.count_presence(request.channel)
        limiter.spend(stats.clients * ENVELOPE)
    session.reply(command_id, "presence_stats", PresenceStatsResult(stats.clients, stats.users))


async def history(services: Services, session: Session, command_id: int, request: HistoryRequest) -> None:
    """Answer with a page of a channel's history: `limit` 0 only the position, -1 as many as one reply carries.

    A reply carries no more than a chunk of a recovery, in number and in bytes, and at least one publication.
    """
    name, since, limits = request.channel, request.since, services.runtime.limits.history
    await _check_right(services, session, name, "history", lambda options: options.keeps_history, may_read_history)
    limit = limits.history_limit if request.limit < 0 else min(request.limit, limits.history_limit)
    limiter = services.reply_limiter
    async with limiter.turn():
        offset = since.offset if since else None
        page = await services.broker.read_page(name, offset, limit, limits.chunk_bytes, reverse=request.reverse)
        if since is not None and since.epoch and since.epoch != page.position.epoch:
            raise CommandRefused(UNRECOVERABLE)
        publications = [view(publication) for publication in chunk(page.publications, limit, limits.chunk_bytes)]
        result = HistoryResult(publications, page.position.epoch, page.position.offset, page.position.tag)
        limiter.spend(session.reply(command_id, "history", result))
