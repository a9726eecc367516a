"""Patterns of channels: an exact name, a beginning with a star behind it, or a star alone.

    news:eu     this channel
    news:*      every channel whose name begins so
    *           every channel

One language wherever channels are named as a group: in the handlers of an application, in the rights of a token. The
star stands for any rest, also an empty one, and nowhere but at the end.

Pure.
"""

from __future__ import annotations

from messageflow.core.channels import NAME_BYTES

ALL = "*"


def explain_pattern(pattern: str) -> str:
    """Say why `pattern` can match no channel as it is meant; empty where it is a pattern."""
    if not pattern:
        return "it is empty; * alone is every channel"
    if ALL in pattern[:-1]:
        return "a star stands only at the end, for any rest: news:*"
    if not (pattern.isascii() and pattern.isprintable()) or " " in pattern:
        return "names of channels are printable ASCII without blanks"
    if len(pattern) > NAME_BYTES:
        return f"names of channels have at most {NAME_BYTES} bytes"
    return ""


def matches(pattern: str, channel: str) -> bool:
    """Whether a channel is one of those that a pattern names."""
    if pattern.endswith(ALL):
        return channel.startswith(pattern[:-1])
    return channel == pattern
