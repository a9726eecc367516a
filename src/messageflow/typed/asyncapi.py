"""A contract as an AsyncAPI document, version 3, for tools that read those.

What is pushed, the application sends; what pages tell it, it receives; a call it receives and replies to. The shapes
are those of the wire protocol, docs/protocol.md: an action for pushes and events, method and data for calls.

Pure.
"""

from __future__ import annotations

from typing import Any

import msgspec

from messageflow.typed.schemas import Contract, Schema

VERSION = "3.0.0"
PUSHES = "What is pushed to a user, broadcast to everybody, or published in a channel."
EVENTS = "What pages tell: `flow.emit(name, data)`."
CALLS = "What pages ask: `flow.call(name, data)`."
RESULTS = "What the application answers."


def render_asyncapi(contract: Contract, title: str) -> str:
    """Return the document as JSON, indented.

    Args:
        contract: what is said.
        title: of the application.
    """
    document = _Document()
    for name, schema in contract.pushes.items():
        document.add("pushes", "push", name, _make_action(name, schema))
    for name, schema in contract.events.items():
        document.add("events", "event", name, _make_action(name, schema))
    for name, each in contract.calls.items():
        data = {"method": {"type": "string", "const": name}, "data": each.data}
        document.add("calls", "call", name, _make_object(data))
        document.add("results", "result", name, each.result)
    whole = {
        "asyncapi": VERSION,
        "info": {"title": title, "version": "1"},
        "defaultContentType": "application/json",
        "channels": document.make_channels(),
        "operations": document.make_operations(),
        "components": {"messages": document.messages, "schemas": contract.components},
    }
    return msgspec.json.format(msgspec.json.encode(whole), indent=2).decode() + "\n"


class _Document:
    """The parts of a document, as they come together."""

    def __init__(self) -> None:
        self.messages: dict[str, dict[str, Any]] = {}
        self._channels: dict[str, list[str]] = {}

    def add(self, channel: str, word: str, name: str, payload: Schema) -> None:
        """Add a message to a channel."""
        key = f"{word}.{''.join(letter if letter.isascii() and letter.isalnum() else '-' for letter in name)}"
        while key in self.messages:
            key += "-"
        self.messages[key] = {"name": name, "contentType": "application/json", "payload": payload}
        self._channels.setdefault(channel, []).append(key)

    def make_channels(self) -> dict[str, Any]:
        """Return the channels; none has an address, for all go over the one connection of a page."""
        meanings = {"pushes": PUSHES, "events": EVENTS, "calls": CALLS, "results": RESULTS}
        return {
            name: {
                "address": None,
                "description": meanings[name],
                "messages": {key: {"$ref": f"#/components/messages/{key}"} for key in keys},
            }
            for name, keys in self._channels.items()
        }

    def make_operations(self) -> dict[str, Any]:
        """Return what the application does."""
        operations: dict[str, Any] = {}
        if "pushes" in self._channels:
            operations["push"] = {"action": "send", **self._refer("pushes")}
        if "events" in self._channels:
            operations["take"] = {"action": "receive", **self._refer("events")}
        for call, result in zip(self._channels.get("calls", ()), self._channels.get("results", ()), strict=True):
            reply = self._refer("results", result)
            operations[f"answer.{call.partition('.')[2]}"] = {
                "action": "receive",
                **self._refer("calls", call),
                "reply": reply,
            }
        return operations

    def _refer(self, channel: str, *keys: str) -> dict[str, Any]:
        return {
            "channel": {"$ref": f"#/channels/{channel}"},
            "messages": [{"$ref": f"#/channels/{channel}/messages/{key}"} for key in keys or self._channels[channel]],
        }


def _make_action(name: str, payload: Schema) -> Schema:
    return _make_object({"type": {"type": "string", "const": name}, "payload": payload})


def _make_object(properties: dict[str, Schema]) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}
