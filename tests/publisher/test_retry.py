"""When a call is tried again, and what is said when it is not: by values, on a clock of numbers."""

from __future__ import annotations

import pytest

from messageflow.client_io.outcome import NO_CONNECTION, NoResponse, Response
from messageflow.errors import GatewayUnreachable, OutcomeUnknown, PublishError, Refused
from messageflow.publisher import requests
from messageflow.publisher.error_texts import describe_gateway
from messageflow.publisher.retry import ABSENT_PATIENCE, Retry

LOST = NoResponse("the connection was closed", sent=True)
ABSENT = NoResponse("refused", absent=True)
UNROUTED = NoResponse("no route")
STALE = NoResponse("closed", sent=True, stale=True)


def retry(*, stores: bool = True, timeout: float = 5.0, chance: float = 1.0) -> Retry:
    return Retry(describe_gateway("http://gateway"), stores=stores, timeout=timeout, now=100.0, chance=lambda: chance)


def exhaust(retry: Retry, outcome: Response | NoResponse) -> tuple[list[float], PublishError]:
    """Fail in the same way again and again; return the pauses and what is said at the end."""
    now = 100.0
    pauses: list[float] = []
    for _ in range(100):
        try:
            pause = retry.decide_pause(outcome, now)
        except PublishError as error:
            return pauses, error
        assert pause is not None
        pauses.append(pause)
        now += pause
    raise AssertionError("never ends")


@pytest.mark.parametrize("status", [200, 400, 401, 404, 413, 500])
def test_answer_is_read_not_repeated(status: int) -> None:
    assert retry().decide_pause(Response(status, b""), 101.0) is None


def test_pauses_grow_up_to_a_second_and_end_with_the_timeout() -> None:
    pauses, error = exhaust(retry(), UNROUTED)
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]
    assert sum(pauses) < 5
    assert type(error) is GatewayUnreachable


def test_pauses_are_spread_by_chance_and_never_nothing() -> None:
    assert retry(chance=0.0).decide_pause(UNROUTED, 100.0) == 0.025
    assert retry(chance=0.5).decide_pause(UNROUTED, 100.0) == pytest.approx(0.0375)


def test_nobody_listening_is_said_early_and_names_the_remedy() -> None:
    pauses, error = exhaust(retry(), ABSENT)
    assert sum(pauses) < ABSENT_PATIENCE
    assert str(error) == (
        "no gateway answers at http://gateway: start one with `messageflow serve --dev` or set MESSAGEFLOW_URL"
    )


@pytest.mark.parametrize(("then", "said"), [(NO_CONNECTION, "no gateway answers"), (UNROUTED, "cannot be reached")])
def test_what_was_seen_of_nobody_holds_until_something_else_is_seen(then: NoResponse, said: str) -> None:
    call = retry(timeout=0.1)
    call.decide_pause(ABSENT, 100.0)
    _, error = exhaust(call, then)
    assert said in str(error)


def test_short_timeout_ends_before_patience_does() -> None:
    pauses, _ = exhaust(retry(timeout=0.1), ABSENT)
    assert sum(pauses) < 0.1


@pytest.mark.parametrize("status", [408, 429, 503])
def test_not_ready_means_nothing_was_stored(status: int) -> None:
    _, error = exhaust(retry(), Response(status, b""))
    assert type(error) is GatewayUnreachable
    assert str(status) in str(error)


@pytest.mark.parametrize("outcome", [LOST, Response(502, b""), Response(504, b"")])
def test_request_that_may_have_arrived_leaves_the_outcome_unknown(outcome: Response | NoResponse) -> None:
    _, error = exhaust(retry(), outcome)
    assert type(error) is OutcomeUnknown
    assert "idempotency_key" in str(error)


@pytest.mark.parametrize("then", [ABSENT, UNROUTED, Response(503, b"")])
def test_one_uncertain_attempt_makes_the_end_uncertain(then: Response | NoResponse) -> None:
    call = retry()
    call.decide_pause(LOST, 100.0)
    assert type(exhaust(call, then)[1]) is OutcomeUnknown


REFUSALS = [
    Response(507, b'{"error":{"code":100,"message":"storage_full"}}'),
    Response(200, b'{"error":{"code":100,"message":"the broker failed"}}'),
    Response(401, b"{}"),
    Response(500, b"of a proxy"),
]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_after_an_uncertain_attempt_leaves_the_outcome_unknown(refusal: Response) -> None:
    call = requests.push("alice", "a")
    unsure = retry()
    unsure.decide_pause(LOST, 101.0)
    assert unsure.decide_pause(refusal, 102.0) is None
    with pytest.raises(OutcomeUnknown, match="an earlier attempt got no answer"):
        unsure.read(call, refusal)
    with pytest.raises(PublishError) as sure:
        retry().read(call, refusal)
    assert not isinstance(sure.value, OutcomeUnknown)


def test_a_wrong_call_is_refused_whatever_came_before() -> None:
    unsure = retry()
    unsure.decide_pause(LOST, 101.0)
    with pytest.raises(Refused):
        unsure.read(requests.push("alice", "a"), Response(200, b'{"error":{"code":107,"message":"bad request"}}'))


def test_call_that_stores_nothing_has_no_unknown_outcome() -> None:
    _, error = exhaust(retry(stores=False), LOST)
    assert type(error) is PublishError


def test_stale_connection_is_replaced_at_once() -> None:
    assert retry().decide_pause(STALE, 104.99) == 0.0


def test_stale_connection_may_have_carried_the_request() -> None:
    call = retry()
    call.decide_pause(STALE, 100.0)
    assert type(exhaust(call, ABSENT)[1]) is OutcomeUnknown


def test_hopeless_failure_is_not_repeated() -> None:
    with pytest.raises(GatewayUnreachable, match="not trusted"):
        retry().decide_pause(NoResponse("its certificate is not trusted", hopeless=True), 100.0)


def test_one_attempt_leaves_time_for_another() -> None:
    call = retry(timeout=4.0)
    assert call.compute_limit(100.0) == 102.0
    assert call.compute_limit(102.1) == 104.0


def test_who_goes_away_after_a_request_is_not_said_to_have_been_waited_for_longer_than_it_was() -> None:
    attempts = retry(timeout=30.0)
    assert attempts.decide_pause(LOST, 100.0) is not None
    _, error = exhaust(attempts, ABSENT)
    assert type(error) is OutcomeUnknown
    assert str(error).startswith("no answer from the gateway at http://gateway (refused): it may or may not have been")
