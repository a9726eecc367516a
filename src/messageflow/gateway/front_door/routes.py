"""The table of the port: path → endpoint.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from messageflow.gateway.front_door.endpoint import HttpEndpoint


class Routes:
    """Which endpoint answers for a path.

    Args:
        exact: by path, as it is written in a request.
        below: by what a path begins with; the first that fits counts.
        otherwise: for every other path.
    """

    def __init__(
        self, exact: Mapping[bytes, HttpEndpoint], below: Mapping[bytes, HttpEndpoint], otherwise: HttpEndpoint
    ) -> None:
        self._exact = exact
        self._below = below
        self._otherwise = otherwise

    def find(self, path: bytes) -> HttpEndpoint:
        """Return the endpoint of a path, without its query."""
        found = self._exact.get(path)
        if found is not None:
            return found
        for prefix, endpoint in self._below.items():
            if path.startswith(prefix):
                return endpoint
        return self._otherwise
