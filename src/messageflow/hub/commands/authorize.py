"""The application's word on what a client wants to do in a channel: the one place where it is asked."""

from __future__ import annotations

from messageflow.core.channels import owned_by_server
from messageflow.core.codes import PERMISSION_DENIED, ErrorCode
from messageflow.core.token_rights import Verb
from messageflow.hub.hook_calls import Hook, describe
from messageflow.hub.hooks import AuthorizeAnswer, AuthorizeQuestion
from messageflow.hub.session import Session


async def authorize(
    hook: Hook[AuthorizeQuestion, AuthorizeAnswer],
    session: Session,
    channel: str,
    verb: Verb,
    refusal: ErrorCode | None,
) -> ErrorCode | None:
    """Return why a client may not, None where it may.

    Channels that are the server's own, such as a user's personal one, are no matter of the application's.

    Args:
        hook: asks the application.
        session: that wants to.
        channel: where.
        verb: what.
        refusal: what the options of the namespace say.

    Raises:
        CommandRefused: the application says why not, or has failed.
        Disconnected: it ends the connection.
    """
    if owned_by_server(channel):
        return refusal
    answer = await hook.ask(AuthorizeQuestion(describe(session), channel, verb, refusal is None))
    if answer.allowed is None:
        return refusal
    return None if answer.allowed else refusal or PERMISSION_DENIED
