"""A test that would push into a real gateway by accident: its flows are refused, and it is told of.

An accident is a call of a flow that was told its gateway, by an argument, a setting or the environment, in a test that
asked for neither `flow_recorder` nor `live_gateway`. A flow that was told none finds none while tests run, as ever.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from messageflow.errors import GatewayUnreachable
from messageflow.publisher.stand_in import StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from messageflow.publisher.stand_in import Gateway

ADVICE = (
    "ask for the fixture flow_recorder, which records, or live_gateway, which is a gateway for tests; where it is "
    "meant, mark the test with real_gateway, or name the address in the ini option messageflow_gateways"
)


class Accident(NamedTuple):
    """A call that was refused: of which gateway, and where it was made."""

    url: str
    place: str

    def __str__(self) -> str:
        return f"a flow was about to call {self.url}, a real gateway, at {self.place}"


class AccidentGuard(StandIn):
    """Refuses the calls of flows that were told a gateway, unless that is allowed.

    Args:
        allowed: addresses that tests may call; `*` is all.

    Attributes:
        accidents: what was refused since they were last taken.
    """

    def __init__(self, allowed: Collection[str] = ()) -> None:
        self._allowed = {each.rstrip("/") for each in allowed}
        self._is_off = False
        self.accidents: list[Accident] = []

    @contextmanager
    def off(self) -> Iterator[None]:
        """Refuse nothing in a `with` block."""
        self._is_off = True
        try:
            yield
        finally:
            self._is_off = False

    def find_gateway(self, find: Callable[[], Gateway]) -> Gateway:
        """Return what the flow finds, or refuse.

        Raises:
            GatewayUnreachable: it is a real gateway.
        """
        found = find()
        endpoint = getattr(found, "endpoint", None)  # a gateway of this very process has none
        if self._is_off or endpoint is None or not self._allowed.isdisjoint({"*", endpoint.url.rstrip("/")}):
            return found
        accident = Accident(endpoint.url, _find_place())
        self.accidents.append(accident)
        raise GatewayUnreachable(f"{accident}; nothing was stored: {ADVICE}")

    def perform_later(self, perform: Callable[[], object]) -> bool:
        """See that a call of `flow.later` may be made; where it may not, it is dropped and told of."""
        if self._is_off or "*" in self._allowed:
            return False
        try:
            perform()
        except GatewayUnreachable:
            pass
        return True

    def take_accidents(self) -> list[Accident]:
        """Return what was refused since this was last asked."""
        taken, self.accidents = self.accidents, []
        return taken


def _find_place() -> str:
    """Return where the application made the call: the innermost frame that is not of ours."""
    frame = sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).startswith("messageflow."):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
