"""`publish`: what a client says in a channel.

Information flows one way: a browser calls the backend over HTTP. A namespace, or the application, may still let clients
publish.

Source: docs/protocol.md, "Commands".
"""

from __future__ import annotations

import msgspec

from messageflow.core.codes import (
    BAD_REQUEST,
    LIMIT_EXCEEDED,
    MALFORMED,
    UNKNOWN_CHANNEL,
    CommandRefused,
    Disconnected,
)
from messageflow.core.json import UnsafeJSON, check_readable, compact
from messageflow.core.permissions import may_publish
from messageflow.core.protocol import EmptyResult, PublishRequest
from messageflow.core.stream import Item
from messageflow.hub.commands.rights import find_refusal
from messageflow.hub.hook_calls import describe
from messageflow.hub.hooks import PublishQuestion
from messageflow.hub.services import Services
from messageflow.hub.session import Session

KEY_LENGTH = 128
"""Characters of an idempotency key at most: each is kept for the whole window."""


async def publish(services: Services, session: Session, command_id: int, request: PublishRequest) -> None:
    """Publish what the client says, with its identity beside it."""
    name = request.channel
    if not name:
        raise Disconnected(MALFORMED, "a command names no channel")
    options = services.namespaces.options(name)
    if options is None:
        raise CommandRefused(UNKNOWN_CHANNEL)
    refusal = await find_refusal(services, session, "publish", name, options, may_publish)
    if refusal is not None:
        raise CommandRefused(refusal)
    data = compact(bytes(request.data))
    if not data:
        raise CommandRefused(BAD_REQUEST, "there is no data to publish")
    try:
        check_readable(data)
    except UnsafeJSON as error:
        raise CommandRefused(BAD_REQUEST, str(error)) from None
    if options.publication_data_format == "json_object" and not data.startswith(b"{"):
        raise CommandRefused(BAD_REQUEST, "this channel takes JSON objects only")
    if len(request.idempotency_key) > KEY_LENGTH:
        raise CommandRefused(BAD_REQUEST, f"an idempotency key has at most {KEY_LENGTH} characters")
    if services.hooks.publish is not None:
        data = (await services.hooks.publish.ask(PublishQuestion(describe(session), name, data))).data or data
    key = _own_key(session.user, request.idempotency_key)
    subscription = session.find_subscription(name)
    info = (subscription.info if subscription is not None else None) or session.info
    item = Item(name, data, options.retention, key, msgspec.json.encode(info))
    size, most = len(item.data) + len(item.info), services.runtime.limits.payload_size_limit
    if size > most:
        why = f"data and info have {size} bytes of JSON, over the limit of {most}: send what is large over HTTP"
        raise CommandRefused(LIMIT_EXCEEDED, why)
    if (parts := services.publish_delay.wait([item])) is not None:
        async for _ in parts:
            pass
    await services.broker.publish([item])
    session.reply(command_id, "publish", EmptyResult())


def _own_key(user: str, key: str) -> str:
    """Return the key as this user's own: nobody's is another's, nor one of the application's, which are plain text."""
    return "client:" + msgspec.json.encode((user, key)).decode() if key else ""
