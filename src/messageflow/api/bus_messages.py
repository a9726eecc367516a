"""Messages of the ancestors' bus, read as calls of the server API: for whom, of what type, with what.

One reader for all generations, since no key means two things. A message of two parts names its user in the first, for
whom `*` is everyone; one of one part names them in its JSON, and there `*` is nobody. Pure.

Source: docs/classic.md; cesium-ml/message_flow `flask_app.py`, cesium_web and baselayer `flow.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from messageflow.api import calls
from messageflow.core.channels import BROADCAST
from messageflow.core.json import MAX_DEPTH, UnsafeJSON, check_depth, check_utf8, explain

ENVELOPE_DEPTH = 1  # a message is an object that holds a payload

BusCall = calls.PushCall | calls.BroadcastPushCall


class _Message(msgspec.Struct, frozen=True, gc=False):
    """The keys of each generation; of those that mean the same one is there."""

    username: str | int = ""
    user_id: str | int = ""
    user: str | int = ""
    id: str = ""
    action: str = ""
    action_type: str = msgspec.field(default="", name="actionType")
    data: Raw = calls.EMPTY
    payload: Raw = calls.EMPTY


_decode = msgspec.json.Decoder(_Message).decode


def read_bus_message(parts: Sequence[bytes]) -> BusCall:
    """Return the call that a message is.

    Raises:
        UnsafeJSON: it is none; the sentence says why.
    """
    if not 1 <= len(parts) <= 2:
        raise UnsafeJSON(f"a message has one part or two, not {len(parts)}")
    content = parts[-1]
    if len(parts) == 1 and not content.startswith(b"{"):
        content = content.partition(b" ")[2]  # behind the number of a channel, which nobody ever used
    check_utf8(content)
    check_depth(content, MAX_DEPTH + ENVELOPE_DEPTH)
    try:
        message = _decode(content)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise UnsafeJSON(explain(content, error)) from None
    type_ = message.action_type or message.action or message.id
    payload = message.payload or message.data or Raw(b"{}")
    if len(parts) == 1:
        return calls.PushCall(message.username or message.user_id or message.user, type_, payload)
    user = check_utf8(parts[0])
    return calls.BroadcastPushCall(type_, payload) if user == BROADCAST else calls.PushCall(user, type_, payload)
