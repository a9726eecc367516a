"""Arguments that name something, as the exact text that goes over the wire: users, channels, types, keys.

Applications hold names as more than `str`: text that is marked as safe, translated when it is looked at, or a proxy;
members of enumerations; UUIDs; the whole numbers of numpy and of databases. Each is taken for the text it stands for.
What is encoded afterwards is `str` itself, since an encoder goes by the exact type.

Pure. Libraries are never imported here: a value of theirs shows that they are loaded.
"""

from __future__ import annotations

import operator
import sys
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, cast
from uuid import UUID

import msgspec

from messageflow.handlers.event import Event
from messageflow.typed.message import has_fields

User = str | int | UUID
Sender = Event | str
"""Who caused something: the event of a handler, or the id of a client."""
EVERYONE = "*"
_LAZY = (
    ("django.utils.functional", "Promise"),
    ("flask_babel.speaklater", "LazyString"),
    ("babel.support", "LazyProxy"),
)


def find_text(value: object) -> str | None:
    """Return text as a `str` and nothing more; None for what is no text."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[return-value]
    if issubclass(kind, str):
        return str.__str__(value)  # what it holds, whatever it shows
    if isinstance(value, str) or is_lazy(value):  # a proxy of text, or text to come
        return find_text(str(value))
    return None


def is_lazy(value: object) -> bool:
    """Whether this is text that is translated when it is looked at."""
    for module, name in _LAZY:
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None and isinstance(value, kind):
            return True
    return False


def find_whole_number(value: object) -> int | None:
    """Return a whole number of any library as an `int` and nothing more; None for anything else, True and False too."""
    if isinstance(value, bool):
        return None
    if isinstance(value, Decimal):
        return int(value) if value.is_finite() and value == value.to_integral_value() else None
    try:
        return int(operator.index(value))  # type: ignore[arg-type]
    except TypeError:
        return None


def find_several(user: object) -> list[Any] | None:
    """Return users as a list; None for one: text can be iterated too, and an enumeration's member stands for one."""
    is_one = not isinstance(user, Iterable) or isinstance(user, Enum) or find_text(user) is not None
    return None if is_one else list(cast(Iterable[Any], user))


def read_user(user: object) -> str:
    """Return how a user is named to the gateway.

    Raises:
        TypeError: it is neither text nor a whole number nor a UUID.
        ValueError: it is empty or `*`.
    """
    name = _find_name(user, numbers=True)
    if name is None:
        raise TypeError(f"user must be a string, an int or a UUID, not {type(user).__name__}")
    if not name:
        raise ValueError("user is empty: push to somebody, or use broadcast() for everyone online")
    if name == EVERYONE:
        raise ValueError("'*' is everyone, not a user: to reach everyone online, use broadcast()")
    return name


def read_channel(channel: object) -> str:
    """Return how a channel is named; raise TypeError for what is no text, ValueError for nothing."""
    name = read_text(channel, "channel")
    if not name:
        raise ValueError("channel is empty")
    return name


def read_type(type_: object) -> str:
    """Return the type of an action; raise TypeError for what is no text, ValueError for nothing."""
    name = _find_name(type_)
    if name is None:
        raise TypeError(f"type must be a string such as 'report/ready', not {_describe(type_)}")
    if not name:
        raise ValueError("type is empty: name what happened, such as 'report/ready'")
    return name


def _describe(value: object) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}: push an object of it"
    name = type(value).__name__
    return f"{name}, which is no message: put @message above its class" if has_fields(type(value)) else name


def read_key(key: object) -> str:
    """Return an idempotency key; raise TypeError for what is none."""
    return read_text(key, "idempotency_key", numbers=True)


def read_text(value: object, name: str, *, numbers: bool = False) -> str:
    """Return the text of an argument, or a number as text where `numbers`; raise TypeError, naming it, for no text."""
    text = _find_name(value, numbers=numbers)
    if text is None:
        raise TypeError(f"{name} must be a string, not {type(value).__name__}")
    return text


def read_sender(sender: object) -> str:
    """Return the id of the client that caused something, empty for nobody; raise TypeError for what names no client."""
    if sender is None:
        return ""
    return sender.client if isinstance(sender, Event) else read_text(sender, "exclude")


def read_token_name(token: object) -> str:
    """Return the `jti` of a token, given as that or as the whole token; raise ValueError for one that has none."""
    text = read_text(token, "token")
    head, _, rest = text.partition(".")
    payload, separator, _ = rest.partition(".")
    if not (head and separator):
        return text
    try:
        name = msgspec.json.decode(urlsafe_b64decode(payload + "=="), type=dict[str, Any]).get("jti")
    except (ValueError, msgspec.MsgspecError):
        raise ValueError("token is neither a JSON Web Token nor the jti of one") from None
    if not (isinstance(name, str) and name):
        raise ValueError("this token has no jti, so it cannot be revoked alone: revoke all that the user has")
    return name


def read_tags(tags: Mapping[Any, Any] | None) -> dict[str, str] | None:
    """Return tags as exact text; raise TypeError for what is no text."""
    if not tags:
        return None
    return {read_text(name, "the name of a tag"): read_text(text, f"tag {name!r:.60}") for name, text in tags.items()}


def _find_name(value: object, *, numbers: bool = False) -> str | None:
    text = find_text(value)
    if text is not None:
        return text
    if isinstance(value, UUID):
        return str(value)
    number = find_whole_number(value) if numbers else None
    if number is not None:
        return str(number)
    return _find_name(value.value, numbers=numbers) if isinstance(value, Enum) else None
