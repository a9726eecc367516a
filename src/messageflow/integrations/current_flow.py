"""A flow that is another one in each application, or the one of a request: all that a flow has, found where the call
is made.

Owns the handlers, which are written before there is an application. Owns no flow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from messageflow.handlers.decorators import Decorators
from messageflow.publisher.async_flow import AsyncFlow
from messageflow.publisher.encoding import encode
from messageflow.publisher.flow import Flow

if TYPE_CHECKING:
    _Methods = Flow
    _AsyncMethods = AsyncFlow
else:
    _Methods = _AsyncMethods = Decorators


class CurrentFlow(_Methods):
    """Has the methods of `Flow` and its decorators; whoever derives from it says which flow is meant."""

    @property
    def flow(self) -> Flow:
        """The flow that is meant here and now."""
        raise NotImplementedError

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            require_public(self, name, Flow)
            return getattr(self.flow, name)

    @staticmethod
    def _encode(value: Any) -> bytes:
        return encode(value, "result")


class CurrentAsyncFlow(_AsyncMethods):
    """The same to await: the methods of `AsyncFlow`."""

    @property
    def async_flow(self) -> AsyncFlow:
        """The flow that is meant here and now."""
        raise NotImplementedError

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            require_public(self, name, AsyncFlow)
            return getattr(self.async_flow, name)

    @staticmethod
    def _encode(value: Any) -> bytes:
        return encode(value, "result")


def require_public(asked: object, name: str, kind: type) -> None:
    """Raise for what a flow does not give away.

    Raises:
        AttributeError: as Python has it.
    """
    if name.startswith("_") or not hasattr(kind, name):
        raise AttributeError(f"{type(asked).__name__!r} object has no attribute {name!r}")
