"""The short way to a gateway that runs in this process, as under `messageflow run`.

The gateway installs a function that answers API calls on its event loop; flows without an address of their own use
it instead of a connection, and so do flows that were given its very address: on a connection they would wait for
themselves while the application starts, and at any time where they block the gateway's loop. There is none in a forked
child, which has the loop but nobody who runs it.

While the application is loaded the gateway is not there yet, and cannot be before the application is: whoever waited
for it would wait for themselves, and any other gateway is not the one that is meant. So until then flows fail at once.

asyncio is imported when it is needed: a process without a gateway never pays for it here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NamedTuple

from messageflow.errors import GatewayUnreachable, PublishError
from messageflow.publisher.http1 import NO_ANSWER, Answer, Endpoint, Failure, parse_url
from messageflow.publisher.processes import PerProcess

if TYPE_CHECKING:
    import asyncio

Handler = Callable[[str, bytes], Coroutine[Any, Any, tuple[int, bytes]]]

_STOPPED = Failure("it has stopped")
_NOT_YET = (
    "not before the gateway serves: it starts in this process once the application is loaded, and nothing was stored. "
    "Push from a request, from a task or thread that starts later, or from the lifespan of an ASGI application"
)


class InProcess(NamedTuple):
    """A gateway in this process.

    Args:
        call: takes an API method and its JSON body, returns status and JSON body as the HTTP API would.
        loop: the event loop it must be awaited on.
    """

    call: Handler
    loop: asyncio.AbstractEventLoop

    def exchange(self, method: str, body: bytes, limit: float) -> Answer | Failure:
        """Call from a thread and wait for what comes of it until `limit`, on the clock of `time.monotonic`.

        Raises:
            PublishError: called on the gateway's own event loop, which would wait for itself.
        """
        import asyncio

        if _running_loop() is self.loop:
            raise PublishError(
                "this code runs on the gateway's event loop, where waiting would stop the gateway itself: "
                "await AsyncFlow instead of calling Flow"
            )
        coroutine = self.call(method, body)
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        except RuntimeError:
            coroutine.close()
            return _STOPPED
        try:
            return Answer(*future.result(max(0.0, limit - time.monotonic())))
        except Exception as error:
            return _failed(error)
        finally:
            future.cancel()

    async def exchange_async(self, method: str, body: bytes, limit: float) -> Answer | Failure:
        """The same to await, on any event loop. Cancelling it cancels the call."""
        import asyncio

        coroutine = self.call(method, body)
        try:
            if _running_loop() is self.loop:
                answering: Any = coroutine
            else:
                answering = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self.loop))
        except RuntimeError:
            coroutine.close()
            return _STOPPED
        try:
            async with asyncio.timeout(limit - time.monotonic()):
                return Answer(*await answering)
        except Exception as error:
            return _failed(error)


def _failed(error: Exception) -> Failure:
    if isinstance(error, TimeoutError):
        return NO_ANSWER
    return Failure(f"it failed with {type(error).__name__}: {error}", sent=True, hopeless=True)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class _Here(NamedTuple):
    """The gateway of this process.

    Args:
        gateway: None as long as it is expected.
        address: where it listens, or will; None where nobody knows.
        api_key: what a flow needs that was given its address.
    """

    gateway: InProcess | None
    address: Endpoint | None
    api_key: str


_installed: PerProcess[None, _Here] = PerProcess()
_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0", "::"})


def expect(url: str = "") -> None:
    """Let flows fail at once that have no address of their own, or this one, until a gateway is installed.

    Args:
        url: where the gateway of this process is to listen, if that is known.
    """
    _installed.table()[None] = _Here(None, _address(url), "")


def install(call: Handler, loop: asyncio.AbstractEventLoop, url: str = "", api_key: str = "") -> None:
    """Let flows without an address of their own, or with this one, reach the gateway through `call`, run on `loop`.

    Args:
        call: as `InProcess` has it.
        loop: likewise.
        url: where the gateway listens.
        api_key: what a flow must know that was given this address.
    """
    _installed.table()[None] = _Here(InProcess(call, loop), _address(url), api_key)


def uninstall() -> None:
    """Take the gateway of this process back."""
    _installed.table().clear()


def installed() -> InProcess | None:
    """Return the gateway of this process, if it has one.

    Raises:
        GatewayUnreachable: it is to have one, and does not yet.
    """
    here = _installed.table().get(None)
    return None if here is None else _present(here)


def installed_at(endpoint: Endpoint, api_key: str) -> InProcess | None:
    """Return the gateway of this process if it is the one that listens there.

    It refuses another API key than its own, as it does on a connection.

    Raises:
        GatewayUnreachable: it will be the one, and is not yet.
    """
    here = _installed.table().get(None)
    if here is None or here.address is None or not _same(endpoint, here.address):
        return None
    gateway = _present(here)
    return gateway if api_key == here.api_key else gateway._replace(call=_unauthorized)


def _present(here: _Here) -> InProcess:
    if here.gateway is None:
        raise GatewayUnreachable(_NOT_YET)
    return here.gateway


def _address(url: str) -> Endpoint | None:
    return parse_url(url) if url else None


def _same(one: Endpoint, other: Endpoint) -> bool:
    if (one.secure, one.port, one.prefix) != (other.secure, other.port, other.prefix):
        return False
    return one.host == other.host or (one.host in _THIS_MACHINE and other.host in _THIS_MACHINE)


async def _unauthorized(method: str, body: bytes) -> tuple[int, bytes]:
    return 401, b""
