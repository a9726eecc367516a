"""The calls of the server API over HTTP: requests on connections that are kept."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from messageflow.client_io.http1 import Endpoint, ResponseDecoder, build_request
from messageflow.client_io.kernel import Attempt, Broken, ClientConnection, ClientIO, ServerAddress, connect
from messageflow.client_io.outcome import NoResponse, Response
from messageflow.client_io.pool import CONNECTIONS, ConnectionPool, exchange
from messageflow.client_io.sockets import get_system_tls


class HttpClient:
    """Calls on one gateway; see `kernel.ApiClient`.

    Args:
        io: of this process or event loop.
        endpoint: where the gateway is.
        size: how many connections may be open at once.
    """

    def __init__(self, io: ClientIO, endpoint: Endpoint, size: int = CONNECTIONS) -> None:
        self._endpoint = endpoint
        address = ServerAddress(endpoint.host, endpoint.port, tls=get_system_tls if endpoint.secure else None)

        async def dial(limit: float) -> ClientConnection:
            return await connect(io, address, ResponseDecoder(), limit)

        self._pool = ConnectionPool(io, dial, endpoint.authority, size)

    def exchange(
        self, method: str, body: bytes, limit: float, api_key: str = ""
    ) -> Coroutine[Any, Any, Response | NoResponse]:
        return self.send(build_request(self._endpoint, api_key, method, body), limit)

    async def send(self, request: bytes, limit: float) -> Response | NoResponse:
        """Send a whole request, and return what came of it by `limit`, likewise."""
        attempt = Attempt(limit)
        try:
            [[response]] = await exchange(((self._pool, request, 1),), attempt)
        except (Broken, TimeoutError) as error:
            return attempt.explain(error)
        found: Response = response
        return found

    def close(self) -> None:
        self._pool.clear()

    def abandon(self) -> None:
        self._pool.abandon()
