"""Which paths of the port are the gateway's own.

Beside an application the gateway is a guest: it has the browser client, the addresses of its transports, and one prefix
for all else. Alone it has that prefix too, so that flows reach every gateway in one way, and the root, where official
SDKs and other callers look.

Paths are compared as they are written in the request, percent-encoded or not.
"""

from __future__ import annotations

from messageflow.core.gateway_paths import CLASSIC_PATH, EMULATION_PATH, SCRIPT_PATH
from messageflow.dialects import table

CLIENT_PATH = SCRIPT_PATH.encode()


class Paths:
    """The paths of one gateway.

    Args:
        base: of all that is the gateway's, with a slash at both ends.
        guest: whether all other paths are an application's.
        classic: whether browsers of the ancestors connect here.

    Attributes:
        base: the same, as a request has it.
        roots: the prefixes below which the API, health and metrics are answered.
        calls: what the paths of calls of the API begin with.
    """

    def __init__(self, base: str, *, guest: bool, classic: bool = False) -> None:
        self.roots = (base,) if guest else (base, "/")
        self.base = base.encode()
        self._classic = (CLASSIC_PATH,) if classic else ()
        self.calls = tuple(f"{root}api/".encode() for root in self.roots)

    def method_called(self, path: bytes) -> bytes | None:
        """Return the method of the API at a path, None where it is none."""
        for prefix in self.calls:
            if path.startswith(prefix):
                return path[len(prefix) :]
        return None

    @property
    def kept(self) -> tuple[str, ...]:
        """What an application beside the gateway does not get: paths, and last the prefix."""
        transports = dict.fromkeys(spoken.path for spoken in table.DIALECTS)
        return (CLIENT_PATH.decode(), *transports, *self._classic, EMULATION_PATH, self.base.decode())
