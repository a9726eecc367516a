"""Signatures of webhooks: the vectors that others may check themselves against, and what is no signature."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from messageflow.core.webhook_signatures import is_signed, read_key, sign

CASES = json.loads((Path(__file__).parents[1] / "vectors" / "webhooks.json").read_text())["cases"]
KEY = b"k" * 32
BODY = b'{"kind":"describe"}'
RIGHT = sign(KEY, "msg_1", 1790000000, BODY)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_vectors_are_signed_as_they_say(case: dict[str, Any]) -> None:
    key, body = read_key(case["secret"]), case["body"].encode()
    assert sign(key, case["id"], case["timestamp"], body) == case["signature"]
    assert is_signed([key], case["id"], case["timestamp"], body, case["signature"])


def test_it_is_the_signature_of_standard_webhooks() -> None:
    """The example of its specification and libraries."""
    key = read_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signature = sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_one_right_signature_of_one_known_key_is_enough() -> None:
    assert is_signed([b"new" * 20, KEY], "msg_1", 1790000000, BODY, f"v1a,other v1,AAAA {RIGHT}")


@pytest.mark.parametrize(
    ("message_id", "timestamp", "body", "signatures"),
    [
        ("msg_2", 1790000000, BODY, RIGHT),
        ("msg_1", 1790000001, BODY, RIGHT),
        ("msg_1", 1790000000, BODY + b" ", RIGHT),
        ("msg_1", 1790000000, BODY, RIGHT.replace("v1,", "v2,")),
        ("msg_1", 1790000000, BODY, RIGHT[:-1]),
        ("msg_1", 1790000000, BODY, ""),
        ("msg_1", 1790000000, BODY, "é"),
        ("msg_1", 1790000000, BODY, "v1,AAAA " * 8 + RIGHT),
    ],
)
def test_what_was_changed_or_is_no_signature_is_not_signed(
    message_id: str, timestamp: int, body: bytes, signatures: str
) -> None:
    assert is_signed([KEY], "msg_1", 1790000000, BODY, RIGHT)
    assert not is_signed([KEY], message_id, timestamp, body, signatures)


def test_without_a_key_nothing_is_signed() -> None:
    assert not is_signed([], "msg_1", 1790000000, BODY, RIGHT)


def test_what_stands_behind_whsec_is_base64() -> None:
    with pytest.raises(ValueError, match="no base64"):
        read_key("whsec_not base64!")
