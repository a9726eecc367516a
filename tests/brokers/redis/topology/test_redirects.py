"""One policy says what becomes of a command whose slot is elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from messageflow.brokers.redis.connections.resp import ErrorReply
from messageflow.brokers.redis.connections.url import Address
from messageflow.brokers.redis.topology.redirects import Redirect, Then, read_redirect
from messageflow.errors import NoRoom, Unanswered, Unavailable

THERE = Address("10.0.0.7", 6381)
WAIT = Redirect(Then.WAIT)


@pytest.mark.parametrize("announces", [False, True])
@pytest.mark.parametrize(
    "reply",
    [b"OK", None, 7, [], ErrorReply("NOPERM no"), ErrorReply("OOM full"), NoRoom("full"), Unanswered("silence")],
)
def test_what_was_carried_out_or_refused_for_another_reason_goes_nowhere(reply: Any, announces: bool) -> None:
    assert read_redirect(reply, announces=announces, host="asked") is None


@pytest.mark.parametrize("announces", [False, True])
def test_a_slot_that_has_moved_is_followed(announces: bool) -> None:
    reply = ErrorReply("MOVED 3999 10.0.0.7:6381")
    assert read_redirect(reply, announces=announces, host="asked") == Redirect(Then.FOLLOW, THERE)


def test_a_slot_on_its_way_is_followed_once_but_not_by_what_announces() -> None:
    reply = ErrorReply("ASK 3999 10.0.0.7:6381")
    assert read_redirect(reply, announces=False, host="asked") == Redirect(Then.FOLLOW_ONCE, THERE)
    assert read_redirect(reply, announces=True, host="asked") == WAIT


@pytest.mark.parametrize("text", ["TRYAGAIN Multiple keys", "CLUSTERDOWN The cluster is down", "CROSSSLOT Keys"])
def test_what_no_server_can_do_now_waits(text: str) -> None:
    assert read_redirect(ErrorReply(text), announces=False, host="asked") == WAIT


def test_what_was_not_sent_waits() -> None:
    assert read_redirect(Unavailable("not there"), announces=False, host="asked") == WAIT


def test_a_server_that_leaves_out_its_host_is_the_one_that_was_asked() -> None:
    reply = ErrorReply("MOVED 3999 :6381")
    assert read_redirect(reply, announces=False, host="asked") == Redirect(Then.FOLLOW, Address("asked", 6381))
    sixth = ErrorReply("MOVED 3999 fd00::7:6381")
    assert read_redirect(sixth, announces=False, host="asked") == Redirect(Then.FOLLOW, Address("fd00::7", 6381))
