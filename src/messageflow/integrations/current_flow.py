"""A flow that is another one in each application: all that `Flow` has, found where the call is made.

Owns the handlers, which are written before there is an application. Owns no flow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from messageflow.handlers.decorators import Decorators
from messageflow.publisher.encoding import encode
from messageflow.publisher.flow import Flow

if TYPE_CHECKING:
    _Methods = Flow
else:
    _Methods = Decorators


class CurrentFlow(_Methods):
    """Has the methods of `Flow` and its decorators; whoever derives from it says which flow is meant."""

    @property
    def flow(self) -> Flow:
        """The flow that is meant here and now."""
        raise NotImplementedError

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_") or not hasattr(Flow, name):
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            return getattr(self.flow, name)

    @staticmethod
    def _encode(value: Any) -> bytes:
        return encode(value, "result")
