"""The flow of a Django project: `flow` to call, `async_flow` to await, made of its settings when first used.

On an event loop `flow` says so, instead of holding up everybody whose requests are served there.

Owns the two, and the handlers of the project. Never a request.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from django.core.exceptions import SynchronousOnlyOperation
from django.db import close_old_connections

from messageflow.handlers.decorators import Decorators
from messageflow.handlers.function_threads import is_coroutine_function
from messageflow.handlers.registry import Kind
from messageflow.integrations.current_flow import CurrentFlow
from messageflow.integrations.django.commit_transaction import CommitTransaction
from messageflow.integrations.django.django_settings import DjangoSettings, read_django_settings
from messageflow.integrations.site import Site
from messageflow.publisher.async_flow import AsyncFlow
from messageflow.publisher.flow import Flow

log = logging.getLogger("messageflow.django")

WAITING = frozenset(
    {name for name, each in vars(AsyncFlow).items() if inspect.iscoroutinefunction(each) and not name.startswith("_")}
    - {"token", "ticket", "subscription_token", "close"}  # which are made here
    | {"batch"}
)
"""What of a flow waits for the gateway."""


class DjangoFlow(CurrentFlow):
    """All of `Flow`, for this project."""

    @property
    def flow(self) -> Flow:
        """The flow that the settings make."""
        return find_project().flow

    def transaction(self, *, using: str | None = None) -> CommitTransaction:
        """Collect as `Flow.transaction` does; what was collected is sent once the database has committed.

        Args:
            using: which; else the default one.
        """
        refuse_to_block("flow.transaction", "async with async_flow.transaction():")
        return CommitTransaction(self.flow, using)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in WAITING:
                refuse_to_block(f"flow.{name}", f"await async_flow.{name}(…)")
            return super().__getattr__(name)

    def _add(self, kind: Kind, key: str, function: Any, written: str) -> Any:
        wrapped = function if not callable(function) or is_coroutine_function(function) else _with_fresh(function)
        super()._add(kind, key, wrapped, written)
        return function


class _CurrentAsyncFlow:
    """All of `AsyncFlow`, for this project; its decorators are those of `flow`."""

    def __getattr__(self, name: str) -> Any:
        return getattr(flow if hasattr(Decorators, name) else find_project().async_flow, name)


class DjangoProject(NamedTuple):
    """What a project has."""

    settings: DjangoSettings
    site: Site

    @property
    def flow(self) -> Flow:
        """To call."""
        return self.site.flow

    @property
    def async_flow(self) -> AsyncFlow:
        """To await."""
        return self.site.async_flow


@functools.lru_cache(maxsize=1)
def find_project() -> DjangoProject:
    """Return what the settings of this project make.

    Raises:
        ConfigurationError: one of them cannot be used; the message names it.
    """
    settings = read_django_settings()
    return DjangoProject(settings, Site(settings.told, flow.handlers, log))


def refuse_to_block(what: str, instead: str) -> None:
    """Raise on an event loop.

    Raises:
        SynchronousOnlyOperation: this is one; as the ORM raises it, and with its exception for notebooks.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    if not os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE"):
        raise SynchronousOnlyOperation(
            f"{what} waits for the gateway, and would hold up all requests of this event loop: {instead}"
        )


def _with_fresh(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a handler connections to the database that work: the threads of a gateway serve no request."""

    @functools.wraps(function)
    def call(event: Any) -> Any:
        close_old_connections()
        try:
            return function(event)
        finally:
            close_old_connections()

    return call


flow = DjangoFlow()
async_flow = cast(AsyncFlow, _CurrentAsyncFlow())
