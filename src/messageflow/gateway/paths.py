"""Which paths of the port are the gateway's own: a table that is read for every request.

Beside an application the gateway is a guest: it has the browser client, the addresses of its transports, and one prefix
for all else. Alone it has that prefix too, so that flows reach every gateway in one way, and the root, where official
SDKs and other callers look.

Paths are compared as they are written in the request, percent-encoded or not.
"""

from __future__ import annotations

WEBSOCKET_PATH = b"/connection/websocket"
CLIENT_PATH = b"/messageflow.js"
_EXACT = frozenset((WEBSOCKET_PATH, CLIENT_PATH))


class Paths:
    """The paths of one gateway.

    Args:
        base: of all that is the gateway's, with a slash at both ends.
        guest: whether all other paths are an application's.

    Attributes:
        roots: the prefixes below which the API, health and metrics are answered.
    """

    def __init__(self, base: str, *, guest: bool) -> None:
        self.roots = (base,) if guest else (base, "/")
        self._base = base.encode()
        self._guest = guest
        self._api = tuple(f"{root}api/".encode() for root in self.roots)

    def method_called(self, path: bytes) -> bytes | None:
        """Return the method of the API at a path, None where it is none."""
        for prefix in self._api:
            if path.startswith(prefix):
                return path[len(prefix) :]
        return None

    def are_own(self, path: bytes) -> bool:
        """Whether a request for this path is the gateway's to answer."""
        return not self._guest or path in _EXACT or path.startswith(self._base)

    @property
    def kept(self) -> tuple[str, ...]:
        """What an application beside the gateway does not get: paths, and last the prefix."""
        return (CLIENT_PATH.decode(), WEBSOCKET_PATH.decode(), self._base.decode())
