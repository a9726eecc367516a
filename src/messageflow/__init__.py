"""messageflow: push from any Python web application to any browser.

    from messageflow import Flow

    flow = Flow()
    flow.push("alice@example.com", "report/ready", {"id": 7})

This module is the public face and owns nothing: each name is loaded when it is first used, so that importing
messageflow costs a publisher neither an event loop nor a server.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from messageflow.errors import (
        BrokerError,
        ConfigurationError,
        EncodingError,
        GatewayUnreachable,
        InvalidMessage,
        MessageflowError,
        NoRoom,
        NotStored,
        OutcomeUnknown,
        PayloadTooLarge,
        PublishError,
        Refuse,
        Refused,
        TokenError,
        TokenExpired,
        Unanswered,
        Unauthorized,
        Unavailable,
        Unrecoverable,
    )
    from messageflow.handlers.event import Event
    from messageflow.publisher.async_flow import AsyncFlow
    from messageflow.publisher.batch import BatchRefused
    from messageflow.publisher.flow import Flow
    from messageflow.publisher.html_message import Html
    from messageflow.publisher.results import ClientInfo, History, Position, Publication, Receipt
    from messageflow.typed.message import Message, message

    __version__: str

__all__ = [
    "AsyncFlow",
    "BatchRefused",
    "BrokerError",
    "ClientInfo",
    "ConfigurationError",
    "EncodingError",
    "Event",
    "Flow",
    "GatewayUnreachable",
    "History",
    "Html",
    "InvalidMessage",
    "Message",
    "MessageflowError",
    "NoRoom",
    "NotStored",
    "OutcomeUnknown",
    "PayloadTooLarge",
    "Position",
    "Publication",
    "PublishError",
    "Receipt",
    "Refuse",
    "Refused",
    "TokenError",
    "TokenExpired",
    "Unanswered",
    "Unauthorized",
    "Unavailable",
    "Unrecoverable",
    "__version__",
    "message",
]

_ELSEWHERE = {
    "AsyncFlow": "messageflow.publisher.async_flow",
    "BatchRefused": "messageflow.publisher.batch",
    "ClientInfo": "messageflow.publisher.results",
    "Event": "messageflow.handlers.event",
    "Flow": "messageflow.publisher.flow",
    "History": "messageflow.publisher.results",
    "Html": "messageflow.publisher.html_message",
    "Message": "messageflow.typed.message",
    "Position": "messageflow.publisher.results",
    "Publication": "messageflow.publisher.results",
    "Receipt": "messageflow.publisher.results",
    "message": "messageflow.typed.message",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'messageflow' has no attribute {name!r}")
    value = _load(name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


def _load(name: str) -> Any:
    if name == "__version__":
        from messageflow.version import VERSION

        return VERSION
    return getattr(importlib.import_module(_ELSEWHERE.get(name, "messageflow.errors")), name)
