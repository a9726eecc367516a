"""A request as a gateway elsewhere signs it."""

from __future__ import annotations

import json
import time
from typing import Any

from messageflow.core.webhook_signatures import sign
from tests.integrations.conftest import HOOKS_SECRET

EVENT: dict[str, Any] = {
    "user": "alice",
    "client": "c",
    "channel": "",
    "headers": {},
    "address": "",
    "info": None,
    "verb": "",
}


def sign_call(name: str, data: Any) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of a request that asks the handler of an rpc."""
    asked = {**EVENT, "name": name, "data": data, "code": 0, "reason": ""}
    body = json.dumps({"kind": "rpc", "seconds": 5.0, "events": [asked]}).encode()
    now = int(time.time())
    headers = {"webhook-id": "m1", "webhook-timestamp": str(now), "content-type": "application/json"}
    return body, {**headers, "webhook-signature": sign(HOOKS_SECRET.encode(), "m1", now, body)}
