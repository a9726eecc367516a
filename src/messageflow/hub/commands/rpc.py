"""`rpc` and `ping`: what a client asks of the application, or of the gateway itself.

Information flows one way: a browser calls the backend over HTTP. An application that has a hook for it takes calls
over the socket too; without one they are not available.

Source: docs/protocol.md, "Commands".
"""

from __future__ import annotations

from msgspec import Raw

from messageflow.core.codes import NOT_AVAILABLE, CommandRefused
from messageflow.core.protocol import PingRequest, RPCRequest, RPCResult
from messageflow.hub.hook_calls import describe
from messageflow.hub.hooks import RpcQuestion
from messageflow.hub.services import Services
from messageflow.hub.session import Session


async def rpc(services: Services, session: Session, command_id: int, request: RPCRequest) -> None:
    """Let the application answer a call, where it takes any."""
    if services.hooks.rpc is None:
        raise CommandRefused(NOT_AVAILABLE)
    answer = await services.hooks.rpc.ask(RpcQuestion(describe(session), request.method, bytes(request.data)))
    session.reply(command_id, "rpc", RPCResult(Raw(answer.data or b"null")))


async def ping(services: Services, session: Session, command_id: int, request: PingRequest) -> None:
    """Refuse, as the protocol has it: the server pings, not the client."""
    raise CommandRefused(NOT_AVAILABLE)
