"""`rpc`, `send` and `ping`: what a client says to the application, or to the gateway itself.

Information flows one way: a browser calls the backend over HTTP. An application that has hooks for it takes calls and
messages over the socket too; without one they are not available.

Source: docs/protocol.md, "Commands".
"""

from __future__ import annotations

import logging

from msgspec import Raw

from messageflow.core.codes import NOT_AVAILABLE, CommandRefused
from messageflow.core.protocol import PingRequest, RPCRequest, RPCResult, SendRequest
from messageflow.hub.hook_calls import describe
from messageflow.hub.hooks import ClientEvent, RpcQuestion
from messageflow.hub.services import Services
from messageflow.hub.session import Session


async def rpc(services: Services, session: Session, command_id: int, request: RPCRequest) -> None:
    """Let the application answer a call, where it takes any."""
    if services.hooks.rpc is None:
        raise CommandRefused(NOT_AVAILABLE)
    answer = await services.hooks.rpc.ask(RpcQuestion(describe(session), request.method, bytes(request.data)))
    session.reply(command_id, "rpc", RPCResult(Raw(answer.data or b"null")))


async def send(services: Services, session: Session, command_id: int, request: SendRequest) -> None:
    """Hand a message to the application, where it takes any.

    A message without an id cannot be answered; one that nobody takes is dropped, counted, and the log says it. Ending
    the connection for good, as Centrifugo does with 3508, would cost a page its pushes for a message that promises
    nothing.
    """
    if services.hooks.event is not None:
        await services.hooks.event.tell(ClientEvent(describe(session), bytes(request.data)))
        return
    runtime = services.runtime
    runtime.counters.messages_dropped += 1
    runtime.log_limited(
        logging.WARNING, "message_dropped", client=session.client, reason="no application takes messages"
    )
    raise CommandRefused(NOT_AVAILABLE)


async def ping(services: Services, session: Session, command_id: int, request: PingRequest) -> None:
    """Refuse, as the protocol has it: the server pings, not the client."""
    raise CommandRefused(NOT_AVAILABLE)
