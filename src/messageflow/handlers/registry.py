"""Which functions handle what: a table for each flow, and one of all flows of this process.

A gateway in the process asks the latter, so that nobody has to name their flow. A function that is defined once more,
as where an application is made twice or a module is loaded anew, takes the place of the one before.

Owns the table of the process. Never calls a handler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from messageflow.core.channel_patterns import matches
from messageflow.errors import ConfigurationError

Kind = Literal["event", "rpc", "connect", "disconnect", "authorize", "publish", "occupied", "vacated"]

NAMED = frozenset({"event", "rpc"})
"""Kinds whose handlers have a name each, which pages use."""


class Handler(NamedTuple):
    """A function of the application.

    Args:
        kind: what it handles.
        key: of that, the name that pages use, or the pattern of channels.
        function: takes an `Event`.
        encode: makes JSON of what it returns.
        owner: the table of its flow.
    """

    kind: Kind
    key: str
    function: Callable[[Any], Any]
    encode: Callable[[Any], bytes]
    owner: object = None

    @property
    def place(self) -> str:
        """Where the function is defined, as logs show it."""
        function = self.function
        name = getattr(function, "__qualname__", type(function).__qualname__)
        return f"{getattr(function, '__module__', '?')}.{name}"

    def redefines(self, other: Handler) -> bool:
        """Whether it is what the other was, for another flow or of a module that is loaded anew."""
        return (self.kind, self.key, self.place) == (other.kind, other.key, other.place)


class Handlers:
    """A table of handlers. May be changed by any thread, and while it is asked."""

    def __init__(self) -> None:
        self._named: dict[tuple[str, str], Handler] = {}
        self._listed: dict[str, tuple[Handler, ...]] = {}
        self._clashes: list[str] = []
        self._on_new: Callable[[Kind], None] | None = None

    @property
    def kinds(self) -> frozenset[Kind]:
        """What is handled by some function."""
        all_ = (*self._named.values(), *(handler for handlers in self._listed.values() for handler in handlers))
        return frozenset(handler.kind for handler in all_)

    def describe(self) -> dict[str, dict[str, str]]:
        """Return where each function is defined, by kind and then by what it handles: for those who ask elsewhere.

        Of several that handle the same it is the first.
        """
        found: dict[str, dict[str, str]] = {}
        listed = (handler for handlers in tuple(self._listed.values()) for handler in handlers)
        for handler in (*tuple(self._named.values()), *listed):
            found.setdefault(handler.kind, {}).setdefault(handler.key, handler.place)
        return found

    def add(self, handler: Handler) -> None:
        """Enter a handler.

        Raises:
            ConfigurationError: another function has this name.
        """
        self._enter(handler)
        self._refuse_clashes()

    def serve(self, on_new: Callable[[Kind], None]) -> None:
        """Be asked by a gateway from now on.

        Args:
            on_new: called with the kind of each handler that is entered later.

        Raises:
            ConfigurationError: two functions have one name.
        """
        self._refuse_clashes()
        self._on_new = on_new

    def find(self, kind: Kind, name: str) -> Handler | None:
        """Return what handles a name."""
        return self._named.get((kind, name))

    def list_named(self) -> tuple[Handler, ...]:
        """Return the handlers that pages name, in the order in which they were entered."""
        return tuple(self._named.values())

    def select(self, kind: Kind, channel: str = "") -> tuple[Handler, ...]:
        """Return what handles a kind, in a channel where it is about one, in the order in which they were entered."""
        handlers = self._listed.get(kind, ())
        return tuple([each for each in handlers if matches(each.key, channel)]) if channel else handlers

    def _enter(self, handler: Handler) -> None:
        if handler.kind in NAMED:
            key = handler.kind, handler.key
            before = self._named.get(key)
            if before is not None and not handler.redefines(before):
                self._clashes.append(_explain_clash(before, handler))
                return
            self._named[key] = handler
        else:
            self._listed[handler.kind] = (*self._listed.get(handler.kind, ()), handler)
        if self._on_new is not None:
            self._on_new(handler.kind)

    def _refuse_clashes(self) -> None:
        if self._clashes:
            raise ConfigurationError(self._clashes.pop(0))


class ProcessHandlers(Handlers):
    """The handlers of all flows of a process.

    That two flows have handlers of one name is for a gateway to refuse that serves both: each may be for another.
    """

    def gather(self, handler: Handler) -> None:
        """Enter a handler of a flow, in the place of what it redefines.

        Raises:
            ConfigurationError: another function has this name, and a gateway asks this table.
        """
        others = self._listed.get(handler.kind, ())
        self._listed[handler.kind] = tuple(
            [each for each in others if each.owner is handler.owner or not handler.redefines(each)]
        )
        self._enter(handler)
        if self._on_new is not None:
            self._refuse_clashes()


def _explain_clash(before: Handler, handler: Handler) -> str:
    decorator = "on" if handler.kind == "event" else handler.kind
    return (
        f"both {before.place} and {handler.place} are @flow.{decorator}({handler.key!r}), and a name has one handler: "
        "give one of them another name"
    )


EVERY = ProcessHandlers()
"""The handlers of every flow of this process."""
