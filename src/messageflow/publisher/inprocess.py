"""The short way to a gateway that runs in this process, as under `messageflow run`.

The gateway installs a function that answers API calls on its event loop; flows without an address of their own use
it instead of a connection, and so do flows that were given its very address: on a connection they would wait for
themselves while the application starts, and at any time where they block the gateway's loop. There is none in a forked
child, which has the loop but nobody who runs it.

While the application is loaded the gateway is not there yet, and cannot be before the application is: what waited
for it would wait for itself, and any other gateway is not the one that is meant. So until then flows fail at once.

asyncio is imported when it is needed: a process without a gateway never pays for it here.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NamedTuple

from messageflow.client_io.http1 import Endpoint, parse_url
from messageflow.client_io.kernel import Broken
from messageflow.client_io.outcome import NO_ANSWER, NoResponse, Response
from messageflow.client_io.processes import PerProcess
from messageflow.errors import GatewayUnreachable, PublishError

if TYPE_CHECKING:
    import asyncio

    from messageflow.client_io.kernel import ClientIO

Handler = Callable[[str, bytes], Coroutine[Any, Any, tuple[int, bytes]]]

_NOT_YET = (
    "not before the gateway serves: it starts in this process once the application is loaded, and nothing was stored. "
    "Push from a request, from a task or thread that starts later, or from the lifespan of an ASGI application"
)
_OWN_LOOP = (
    "this code runs on the gateway's event loop, where waiting would stop the gateway itself: "
    "await AsyncFlow instead of calling Flow"
)


class InProcess(NamedTuple):
    """A gateway in this process.

    Args:
        call: takes an API method and its JSON body, returns status and JSON body as the HTTP API would.
        loop: the event loop it must be awaited on.
    """

    call: Handler
    loop: asyncio.AbstractEventLoop


class InProcessClient:
    """Calls on a gateway in this process; see `client_io.kernel.ApiClient`.

    Args:
        io: of the caller.
        gateway: what answers.
    """

    __slots__ = ("_gateway", "_io")

    def __init__(self, io: ClientIO, gateway: InProcess) -> None:
        self._io = io
        self._gateway = gateway

    async def exchange(self, method: str, body: bytes, limit: float, api_key: str = "") -> Response | NoResponse:
        """Call, and return what came of it by `limit`. Cancelling it cancels the call.

        Raises:
            PublishError: called on the gateway's own event loop, which would wait for itself.
        """
        call, loop = self._gateway
        if self._io.blocks and _get_running_loop() is loop:
            raise PublishError(_OWN_LOOP)
        try:
            return Response(*await self._io.run_on(loop, call(method, body), limit))
        except Broken as error:
            return NoResponse(error.reason)
        except TimeoutError:
            return NO_ANSWER
        except Exception as error:
            return NoResponse(f"it failed with {type(error).__name__}: {error}", sent=True, hopeless=True)

    def close(self) -> None:
        """Nothing is open."""

    def abandon(self) -> None:
        """Nothing is open."""


def _get_running_loop() -> asyncio.AbstractEventLoop | None:
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
    _installed.table()[None] = _Here(None, _read_address(url), "")


def install(call: Handler, loop: asyncio.AbstractEventLoop, url: str = "", api_key: str = "") -> None:
    """Let flows without an address of their own, or with this one, reach the gateway through `call`, run on `loop`.

    Args:
        call: as `InProcess` has it.
        loop: likewise.
        url: where the gateway listens.
        api_key: what a flow must know that was given this address.
    """
    _installed.table()[None] = _Here(InProcess(call, loop), _read_address(url), api_key)


def uninstall() -> None:
    """Take the gateway of this process back."""
    _installed.table().clear()


def is_here() -> bool:
    """Whether this process has a gateway, or is to have one."""
    return _installed.table().get(None) is not None


def find_installed() -> InProcess | None:
    """Return the gateway of this process, if it has one.

    Raises:
        GatewayUnreachable: it is to have one, and does not yet.
    """
    here = _installed.table().get(None)
    return None if here is None else _require(here)


def find_installed_at(endpoint: Endpoint, api_key: str) -> InProcess | None:
    """Return the gateway of this process if it is the one that listens there.

    It refuses another API key than its own, as it does on a connection.

    Raises:
        GatewayUnreachable: it will be the one, and is not yet.
    """
    here = _installed.table().get(None)
    if here is None or here.address is None or not _is_same(endpoint, here.address):
        return None
    gateway = _require(here)
    return gateway if api_key == here.api_key else gateway._replace(call=_unauthorized)


def refuse_to_block_its_loop() -> None:
    """Raise PublishError where this runs on the event loop of a gateway in this process."""
    here = _installed.table().get(None)
    if here is not None and here.gateway is not None and _get_running_loop() is here.gateway.loop:
        raise PublishError(_OWN_LOOP)


def _require(here: _Here) -> InProcess:
    if here.gateway is None:
        raise GatewayUnreachable(_NOT_YET)
    return here.gateway


def _read_address(url: str) -> Endpoint | None:
    return parse_url(url) if url else None


def _is_same(one: Endpoint, other: Endpoint) -> bool:
    if (one.secure, one.port, one.prefix) != (other.secure, other.port, other.prefix):
        return False
    return one.host == other.host or (one.host in _THIS_MACHINE and other.host in _THIS_MACHINE)


async def _unauthorized(method: str, body: bytes) -> tuple[int, bytes]:
    return 401, b""
