"""Headers of a handshake that an application may see: those that are named, and no other.

What says who somebody is, a cookie above all, a browser sends along whichever page opens the WebSocket. So an
application sees it only where the page is of the gateway's own origin, or where no page is behind it: what another page
does, although it may connect, never passes for what the user did.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

NO_HEADERS: Mapping[str, str] = MappingProxyType({})
USUAL_HEADERS = ("cookie", "authorization", "user-agent", "x-request-id")
IDENTIFYING = frozenset({"cookie", "authorization"})

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2


def is_header_name(text: str) -> bool:
    """Whether a header can be called so."""
    return _NAME.fullmatch(text) is not None


class ShownHeaders:
    """Which headers an application sees.

    Args:
        names: in lower case.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._any_page = {name.encode(): name for name in names if name not in IDENTIFYING}
        self._own_pages = {name.encode(): name for name in names}

    def select(self, headers: Sequence[tuple[bytes, bytes]], *, own: bool) -> Mapping[str, str]:
        """Return what is shown of a handshake, by names in lower case; what stands twice is joined.

        Args:
            headers: as they came, names in lower case.
            own: whether it is from a page of the gateway's own origin, or from no page.
        """
        names = self._own_pages if own else self._any_page
        found: dict[str, str] = {}
        for raw, value in headers:
            if (name := names.get(raw)) is not None:
                text = value.decode("latin-1")
                found[name] = text if name not in found else f"{found[name]}{_between(name)}{text}"
        return found or NO_HEADERS


def _between(name: str) -> str:
    """Return what joins two headers of a name (RFC 9110 §5.3; RFC 9113 §8.2.3 of cookies)."""
    return "; " if name == "cookie" else ", "
