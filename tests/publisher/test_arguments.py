"""Users, channels, types and keys as applications hold them: they go out as the text they stand for."""

from __future__ import annotations

import enum
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import jwt
import msgspec
import numpy as np
import pytest
from markupsafe import Markup

from messageflow import Flow
from messageflow.publisher import arguments, requests
from messageflow.publisher.batch import Batch
from messageflow.publisher.call import Call

SECRET = "s" * 32
ZERO = UUID(int=0)


class Who(str, enum.Enum):  # noqa: UP042 - whose str() is not its value, unlike StrEnum's
    ALICE = "alice"


class Plain(enum.Enum):
    ALICE = "alice"
    SEVEN = 7
    NONE = None


class Number(enum.IntEnum):
    SEVEN = 7


class Loud(str):
    """Text that shows itself in another way than it is."""

    def __str__(self) -> str:
        return self.upper()


class Proxy:
    """A proxy of text, as werkzeug, wrapt and Django make them: it says that it is a `str`, and is none."""

    def __init__(self, target: str) -> None:
        self._target = target

    @property  # type: ignore[misc]
    def __class__(self) -> type[str]:  # type: ignore[override]
        return str

    def __str__(self) -> str:
        return self._target


def lazy(text: str) -> Any:
    django = pytest.importorskip("django.utils.functional", reason="Django is in requirements/dev.txt")
    return django.lazystr(text)


def lazy_object(text: str) -> Any:
    django = pytest.importorskip("django.utils.functional", reason="Django is in requirements/dev.txt")
    return django.SimpleLazyObject(lambda: text)


TEXTS: dict[str, Callable[[], Any]] = {
    "str": lambda: "alice",
    "Markup": lambda: Markup("alice"),
    "str that shows itself in another way": lambda: Loud("alice"),
    "str, Enum": lambda: Who.ALICE,
    "Enum": lambda: Plain.ALICE,
    "numpy": lambda: np.str_("alice"),
    "proxy": lambda: Proxy("alice"),
    "lazy text of Django": lambda: lazy("alice"),
    "lazy object of Django": lambda: lazy_object("alice"),
}
NUMBERS: dict[str, Any] = {
    "int": 7,
    "IntEnum": Number.SEVEN,
    "Enum": Plain.SEVEN,
    "Decimal": Decimal("7.00"),
    **{kind.__name__: kind(7) for kind in (np.int8, np.uint64, np.int64)},
}
OF_USERS: dict[str, Callable[[Any], Call[Any]]] = {
    "push": lambda user: requests.push(user, "t"),
    "subscribe": lambda user: requests.subscribe(user, "news"),
    "unsubscribe": lambda user: requests.unsubscribe(user, "news"),
    "disconnect": requests.disconnect,
    "revoke": lambda user: requests.revoke(user, 1.5),
}
OF_CHANNELS: dict[str, Callable[[Any], Call[Any]]] = {
    "publish": lambda channel: requests.publish(channel, 1),
    "subscribe": lambda channel: requests.subscribe("bob", channel),
    "unsubscribe": lambda channel: requests.unsubscribe("bob", channel),
    "presence": requests.presence,
    "presence_stats": requests.presence_stats,
    "history": requests.history,
    "history_remove": requests.history_remove,
}


def said(call: Call[Any]) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.json.decode(call.body)
    return body


def claims(token: str) -> dict[str, Any]:
    said: dict[str, Any] = jwt.decode(token, SECRET, algorithms=["HS256"])
    return said


@pytest.mark.parametrize("make", OF_USERS.values(), ids=OF_USERS)
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_user_is_the_text_it_stands_for(make: Callable[[Any], Call[Any]], text: Callable[[], Any]) -> None:
    assert said(make(text()))["user"] == "alice"


@pytest.mark.parametrize("make", OF_USERS.values(), ids=OF_USERS)
@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS)
def test_a_user_may_be_a_whole_number_of_any_library(make: Callable[[Any], Call[Any]], number: Any) -> None:
    assert said(make(number))["user"] == "7"


@pytest.mark.parametrize("make", OF_USERS.values(), ids=OF_USERS)
def test_a_user_may_be_a_uuid(make: Callable[[Any], Call[Any]]) -> None:
    assert said(make(ZERO))["user"] == str(ZERO)


@pytest.mark.parametrize("make", OF_CHANNELS.values(), ids=OF_CHANNELS)
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_channel_is_the_text_it_stands_for(make: Callable[[Any], Call[Any]], text: Callable[[], Any]) -> None:
    assert said(make(text()))["channel"] == "alice"


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_types_keys_tags_and_payloads_are_the_text_they_stand_for(text: Callable[[], Any]) -> None:
    push = said(requests.push("bob", text(), {text(): [text()]}, idempotency_key=text()))
    assert push == {"user": "bob", "type": "alice", "payload": {"alice": ["alice"]}, "idempotency_key": "alice"}
    assert said(requests.broadcast(text(), text(), idempotency_key=text())) == {
        "type": "alice",
        "payload": "alice",
        "idempotency_key": "alice",
    }
    published = said(requests.publish("news", text(), tags={text(): text()}, idempotency_key=text()))
    assert published["tags"] == {"alice": "alice"}
    assert published["idempotency_key"] == "alice"
    assert said(requests.disconnect("bob", code=Number.SEVEN, reason=text()))["disconnect"] == {
        "code": 7,
        "reason": "alice",
    }
    assert said(requests.channels(text())) == {"pattern": "alice"}
    assert said(requests.online(text())) == {"channel": "#alice"}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_token_is_for_the_text_it_stands_for(text: Callable[[], Any]) -> None:
    flow = Flow(token_secret=SECRET)
    made = claims(flow.token(text(), channels=[text()], info={text(): text()}, tenant=text()))
    assert (made["sub"], made["channels"], made["info"], made["tenant"]) == (
        "alice",
        ["alice"],
        {"alice": "alice"},
        "alice",
    )
    made = claims(flow.subscription_token(text(), text()))
    assert (made["sub"], made["channel"]) == ("alice", "alice")


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_batch_takes_the_same(text: Callable[[], Any]) -> None:
    batch = Batch()
    batch.push(text(), text(), {text(): 1})
    batch.publish(text(), text())
    request = batch.next_request()
    assert request is not None
    push, publish = said(request)["commands"]
    assert (push["push"]["user"], push["push"]["type"], push["push"]["payload"]) == ("alice", "alice", {"alice": 1})
    assert (publish["publish"]["channel"], publish["publish"]["data"]) == ("alice", "alice")


def test_a_token_for_a_uuid_and_for_numbers() -> None:
    flow = Flow(token_secret=SECRET)
    assert claims(flow.token(ZERO))["sub"] == str(ZERO)
    assert {claims(flow.token(number))["sub"] for number in NUMBERS.values()} == {"7"}


def test_an_idempotency_key_may_be_a_uuid_or_a_number() -> None:
    keys: list[Any] = [ZERO, 7, np.int64(7)]
    made = [said(requests.push("bob", "t", idempotency_key=key))["idempotency_key"] for key in keys]
    assert made == [str(ZERO), "7", "7"]


def test_counts_may_come_from_any_library() -> None:
    limit: Any = np.int64(3)
    assert said(requests.history("news", limit=limit))["limit"] == 3
    assert said(requests.revoke("bob", Decimal("1.5")))["before"] == 1.5  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "user", [None, True, np.True_, 1.5, Decimal("1.5"), Decimal("NaN"), b"alice", ["alice"], Plain.NONE, object()]
)
def test_what_stands_for_no_text_is_no_user(user: Any) -> None:
    with pytest.raises(TypeError, match=f"user must be .* not {type(user).__name__}"):
        arguments.read_user(user)


@pytest.mark.parametrize("value", [None, 7, b"a", Number.SEVEN])
def test_what_stands_for_no_text_is_neither_channel_nor_type_nor_tag(value: Any) -> None:
    for make in (arguments.read_channel, arguments.read_type, lambda text: arguments.read_text(text, "reason")):
        with pytest.raises(TypeError, match="must be a string"):
            make(value)
    with pytest.raises(TypeError, match="tag 'a' must be a string"):
        arguments.read_tags({"a": value})


@pytest.mark.parametrize("before", [float("nan"), float("inf")])
def test_a_date_that_is_none_revokes_nothing(before: float) -> None:
    """As null it would have meant: everything until now."""
    with pytest.raises(ValueError, match="before must be a date"):
        requests.revoke("bob", before)
