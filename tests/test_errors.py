"""Every exception of the package goes through a pickle and a copy as it is: process pools and task queues do both."""

from __future__ import annotations

import copy
import importlib
import pickle
import pkgutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest

import messageflow
from messageflow import BatchRefused, MessageflowError, Receipt, Refuse, Refused
from messageflow.core import codes
from messageflow.errors import show
from tests.waiting import patience

ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "messageflow.errors.Refused": (102, "unknown channel"),
    "messageflow.errors.InvalidMessage": ("ReportReady", "id", "expected int, got str"),
    "messageflow.errors.Refuse": (103, "not you"),
    "messageflow.publisher.batch.BatchRefused": ({1: Refused(107, "bad")}, [Receipt("#a", 1), None]),
    "messageflow.brokers.redis.connections.resp.ErrorReply": ("OOM command not allowed",),
    "messageflow.core.codes.CommandRefused": (codes.BAD_REQUEST,),
    "messageflow.core.codes.Disconnected": (codes.Disconnect(3500, "invalid token"), "a detail"),
    "messageflow.api.publishing.CallRefused": (codes.BAD_REQUEST, "no type"),
    "messageflow.gateway.websocket_protocol.TooManyFragments": (64,),
    "messageflow.gateway.front_door.head.BadRequest": (400, "no host"),
    "messageflow.cli.output.OutputFailed": (OSError(28, "No space left on device"),),
}
"""What those are made of that take something other than one text."""


def exceptions() -> Iterator[type[Exception]]:
    """Yield every exception class that a module of the package defines."""
    for found in pkgutil.walk_packages(messageflow.__path__, "messageflow."):
        if found.name.endswith("__main__") or found.name.startswith("messageflow.integrations.django."):
            continue  # which runs, or wants a project of Django around it, and defines none
        for value in vars(importlib.import_module(found.name)).values():
            if isinstance(value, type) and issubclass(value, Exception) and value.__module__ == found.name:
                yield value


ALL = {f"{kind.__module__}.{kind.__qualname__}": kind for kind in exceptions()}


def seen(error: Exception) -> tuple[Any, ...]:
    """Return all that can be seen of an exception."""
    return type(error), str(error), error.args, vars(error)


def test_the_walk_finds_them() -> None:
    assert set(ARGUMENTS) <= set(ALL)
    assert len(ALL) >= 25


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_exception_survives_pickling(name: str, protocol: int) -> None:
    error = ALL[name](*ARGUMENTS.get(name, ("what happened",)))
    error.add_note("while testing")
    again = pickle.loads(pickle.dumps(error, protocol))
    assert seen(again) == seen(error)
    assert again == error or not isinstance(error, MessageflowError)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_an_exception_survives_copying(name: str, copied: Any) -> None:
    error = ALL[name](*ARGUMENTS.get(name, ("what happened",)))
    assert seen(copied(error)) == seen(error)


def _refuse(_: int) -> None:
    raise Refused(102, "unknown channel")


def _refuse_some(_: int) -> None:
    raise BatchRefused({0: Refused(107, "bad")}, [None, Receipt("#a", 1)])


def test_an_exception_comes_back_from_a_process_pool() -> None:
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        with pytest.raises(Refused) as caught:
            pool.submit(_refuse, 0).result(patience(20))
        assert (caught.value.code, caught.value.text) == (102, "unknown channel")
        with pytest.raises(BatchRefused) as some:
            pool.submit(_refuse_some, 0).result(patience(20))
        assert some.value.failures == {0: Refused(107, "bad")}
        assert some.value.receipts == (None, Receipt("#a", 1))
        with pytest.raises(Refused):  # the pool is not broken
            pool.submit(_refuse, 0).result(patience(20))


def test_exceptions_are_equal_when_nothing_tells_them_apart() -> None:
    assert Refused(102, "x") == Refused(102, "x")
    assert len({Refused(102, "x"), Refused(102, "x")}) == 1
    assert Refused(102, "x") != Refused(103, "x")
    assert MessageflowError("x") != messageflow.PublishError("x")
    noted = Refused(102, "x")
    noted.add_note("n")
    assert noted != Refused(102, "x")


@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        ("1001", "no", TypeError),
        (1001, b"no", TypeError),
        (1001, None, TypeError),
        (0, "no", ValueError),
        (-1, "no", ValueError),
        (5000, "no", ValueError),
        (1001, "\ud800", ValueError),
    ],
)
def test_a_refusal_that_no_client_could_be_told_is_an_error_of_the_handler(
    code: Any, message: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        Refuse(code, message)


def test_what_cannot_be_shown_is_named() -> None:
    class Mute(Exception):
        def __repr__(self) -> str:
            raise ValueError("no")

    assert (show(Mute()), show(ValueError("x"))) == ("Mute, which cannot be shown", "ValueError('x')")
    assert show(ValueError("\ud800")).isascii()


class Own(Refused):
    """As an application may extend one."""

    def __init__(self, user: str) -> None:
        super().__init__(1, "own")
        self.user = user


def test_an_exception_that_an_application_extends_survives_too() -> None:
    again = pickle.loads(pickle.dumps(Own("alice")))
    assert (again.user, again.code) == ("alice", 1)


def test_a_refusal_without_a_word_is_permission_denied() -> None:
    refusal = Refuse()  # `errors` is below `core`, and cannot ask it
    assert (refusal.code, refusal.message, refusal.temporary) == codes.PERMISSION_DENIED
