"""The short way to a gateway that runs in this process, as under `messageflow run`.

The gateway installs a function that answers API calls on its event loop; flows without an address of their own use
it instead of a connection. There is none in a forked child, which has the loop but nobody who runs it.

While the application is loaded the gateway is not there yet, and cannot be before the application is: whoever waited
for it would wait for themselves, and any other gateway is not the one that is meant. So until then flows fail at once.

asyncio is imported when it is needed: a process without a gateway never pays for it here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NamedTuple

from messageflow.errors import GatewayUnreachable, PublishError
from messageflow.publisher.http1 import NO_ANSWER, Answer, Failure
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


_installed: PerProcess[None, InProcess | None] = PerProcess()  # None: it is expected


def expect() -> None:
    """Let flows without an address of their own fail at once until a gateway of this process is installed."""
    _installed.table()[None] = None


def install(call: Handler, loop: asyncio.AbstractEventLoop) -> None:
    """Let flows without an address of their own reach the gateway through `call`, run on `loop`."""
    _installed.table()[None] = InProcess(call, loop)


def uninstall() -> None:
    """Take the gateway of this process back."""
    _installed.table().clear()


def installed() -> InProcess | None:
    """Return the gateway of this process, if it has one.

    Raises:
        GatewayUnreachable: it is to have one, and does not yet.
    """
    table = _installed.table()
    gateway = table.get(None)
    if gateway is None and None in table:
        raise GatewayUnreachable(_NOT_YET)
    return gateway
