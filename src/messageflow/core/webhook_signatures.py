"""Signatures of webhooks, by which an application knows its gateway: as Standard Webhooks has them, symmetric.

    webhook-id          names one delivery, and no other
    webhook-timestamp   seconds since 1970
    webhook-signature   v1,<base64 of HMAC-SHA256 over id.timestamp.body>, several apart by spaces

Pure.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
TOLERANCE = 300
"""Seconds by which the two clocks may differ."""
SIGNATURES = 8
"""Most signatures of one delivery that are looked at."""
_ENCODED = "whsec_"


def read_key(secret: str) -> bytes:
    """Return what is signed with: the bytes of the text; of `whsec_…`, as webhook services have it, what it encodes.

    Raises:
        ValueError: what stands behind `whsec_` is no base64.
    """
    if not secret.startswith(_ENCODED):
        return secret.encode(errors="replace")  # what UTF-8 cannot say is refused before it is used
    try:
        return base64.b64decode(secret.removeprefix(_ENCODED), validate=True)
    except binascii.Error as error:
        raise ValueError(f"no base64 behind {_ENCODED}") from error


def sign(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the signature of one delivery, as the header has it."""
    digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def is_signed(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes, signatures: str) -> bool:
    """Whether one of the signatures was made with one of the keys. All are compared, each in constant time."""
    shown = [each.encode(errors="replace") for each in signatures.split()[:SIGNATURES]]
    found = False
    for key in keys:
        right = sign(key, message_id, timestamp, body).encode()
        for each in shown:
            found = hmac.compare_digest(right, each) or found
    return found
