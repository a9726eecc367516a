"""What a gateway and an application elsewhere tell each other by webhook: the JSON of both bodies.

One shape for every kind: a list of events, the ones that handlers are given, and as many results. `docs/webhook.md` is
the reference. Pure.
"""

from __future__ import annotations

from msgspec import Raw, Struct

from messageflow.handlers.event import Event

DESCRIBE = "describe"
"""The kind of a request without events, which asks what is handled."""
CONTENT_TYPE = "application/json"

Described = dict[str, dict[str, str]]
"""Where each function is defined, by kind and then by the name or pattern that it handles."""


class WebhookRequest(Struct, frozen=True):
    """What a gateway asks.

    Args:
        kind: of handler.
        events: that came together; more than one only of kinds that nobody waits for.
        seconds: for which an answer is waited for.
    """

    kind: str
    events: list[Event] = []
    seconds: float = 5.0


class WebhookRefusal(Struct, frozen=True):
    """A handler raised `Refuse`; the fields are its own."""

    code: int
    message: str
    temporary: bool = False


class WebhookFailure(Struct, frozen=True):
    """A handler raised anything else.

    Args:
        handler: where it is defined.
        error: what it raised, in one line.
    """

    handler: str = ""
    error: str = ""


class WebhookResult(Struct, frozen=True, omit_defaults=True):
    """What came of one event: one of the three."""

    result: Raw = Raw(b"null")
    refusal: WebhookRefusal | None = None
    failure: WebhookFailure | None = None


class WebhookAnswer(Struct, frozen=True, omit_defaults=True):
    """What an application answers.

    Args:
        handlers: changes when what is handled does, so that the gateway asks anew.
        results: one for each event, in order.
        described: where that was asked.
    """

    handlers: str = ""
    results: list[WebhookResult] = []
    described: Described | None = None
