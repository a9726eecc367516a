"""`refresh`: a connection shows a newer token, and stays.

Source: docs/protocol.md, "Commands".
"""

from __future__ import annotations

from messageflow.core.codes import MALFORMED, CommandRefused, Disconnected
from messageflow.core.protocol import RefreshRequest, RefreshResult
from messageflow.core.revocations import UNDATED
from messageflow.errors import TokenError, TokenReason
from messageflow.hub.client_info_changes import replace_conn_info
from messageflow.hub.commands.rights import replace_grants
from messageflow.hub.hook_calls import describe
from messageflow.hub.hooks import RefreshQuestion
from messageflow.hub.runtime import NEVER
from messageflow.hub.services import Services
from messageflow.hub.session import Session
from messageflow.hub.token_refusals import refuse
from messageflow.version import VERSION


async def refresh(services: Services, session: Session, command_id: int, request: RefreshRequest) -> None:
    """Extend the connection with a new token of the same user."""
    if not request.token:
        raise Disconnected(MALFORMED, "refresh without a token")
    try:
        claims = services.verifier.connection(request.token, services.runtime.wall())
    except TokenError as error:
        raise _refuse(services, session, error.reason, str(error)) from None
    if claims.user != session.user:
        raise _refuse(services, session, TokenReason.WRONG_BEARER, "refresh with the token of another user")
    if services.revocation_list.refuses(claims.user, claims.issued_at, claims.token):
        raise _refuse(services, session, TokenReason.REVOKED, "refresh with a revoked token")
    expires_at, info = claims.expires_at, claims.info
    if services.hooks.refresh is not None:
        answer = await services.hooks.refresh.ask(RefreshQuestion(describe(session), expires_at))
        expires_at = answer.expires_at if answer.expires_at is not None else expires_at
        info = answer.info or info
    session.issued_at = claims.issued_at or UNDATED
    session.token = hash(claims.token)
    replace_grants(services, session, claims.grants)
    session.expires_at = services.runtime.deadline(expires_at)
    if info:
        replace_conn_info(services.presence, session, info)
    services.heartbeat.expiries.note(session)
    expires = session.expires_at != NEVER
    ttl = services.runtime.time_to_refresh(session.expires_at) if expires else 0
    session.reply(command_id, "refresh", RefreshResult(session.client, VERSION, expires, ttl))


def _refuse(services: Services, session: Session, reason: TokenReason, detail: str) -> CommandRefused | Disconnected:
    return refuse(services.runtime, session.client, "refresh", reason, detail)
