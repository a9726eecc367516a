"""What all flows of this process use in place of their gateway, as long as a test says so.

Whatever a flow was told, where its calls would go it asks here first: so that a test need not know which flows there
are, nor how they were made. Owns which stand-in that is. Never one itself: `messageflow.testing` has them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from messageflow.client_io.kernel import ApiClient, ClientIO
    from messageflow.publisher.discovery import Place
    from messageflow.publisher.inprocess import InProcess

    Gateway = InProcess | Place


class StandIn:
    """Takes the calls of all flows. Derive from it, and say how.

    Attributes:
        url: its name in messages; where there is a gateway, its address.
        token_secret: signs tokens; empty for what the flow was told.
        script_url: where pages load the browser client; empty for where they would.
    """

    url = ""
    token_secret = ""
    script_url = ""

    def find_gateway(self, find: Callable[[], Gateway]) -> Gateway | StandIn:
        """Return what a flow is to call: this, or what it would find itself by `find`.

        Raises:
            PublishError: it must not call at all.
        """
        return self

    def get_client(self, io: ClientIO) -> tuple[ApiClient, str]:
        """Return what carries out calls here, and the API key that it takes."""
        raise NotImplementedError

    def perform_later(self, perform: Callable[[], object]) -> bool:
        """Perform a call of `flow.later` at once, where a test should see it. Returns whether it was."""
        return False


_standing_in: list[StandIn] = []


def find_stand_in() -> StandIn | None:
    """Return what stands in now; of several the one that came last."""
    return _standing_in[-1] if _standing_in else None


@contextmanager
def standing_in(stand_in: StandIn) -> Iterator[None]:
    """Let all flows of this process use it, whichever thread they are in."""
    _standing_in.append(stand_in)
    try:
        yield
    finally:
        _standing_in.remove(stand_in)
