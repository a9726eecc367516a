"""Lag, recovery from it, expiry, revocation, limits, leaving and drain are the same over every transport and dialect.

One row a listener in `tests.gateway.listeners`; one gateway for all, which the last test ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.request import Request, urlopen

import pytest

from messageflow import Flow
from tests.gateway.listeners import LISTENERS, Ended, Listener, Refused
from tests.support import API_KEY, TOKEN_SECRET, Running, running
from tests.waiting import wait_until

SECONDS = 30.0
MANY, LARGE = 120, "x" * 60_000  # together more than any kernel takes for who does not read
KINDS = {kind: kind.__name__ for kind in LISTENERS}

each = pytest.mark.parametrize("kind", LISTENERS, ids=KINDS.__getitem__)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    arguments = ["serve", "--broker", "memory", "--classic", "cesium", "--drain-time", "0"]
    with running([*arguments, "--connections-per-user", "1"], tmp_path_factory.mktemp("every")) as started:
        yield started


@pytest.fixture(scope="module")
def flow(gateway: Running) -> Iterator[Flow]:
    with Flow(gateway.url, api_key=API_KEY, token_secret=TOKEN_SECRET, timeout=SECONDS) as flow:
        yield flow


def name(kind: type[Listener], why: str) -> str:
    return f"{KINDS[kind]}-{why}"


def figure(gateway: Running, wanted: str) -> float:
    """Return one of the figures in the metrics."""
    asked = Request(f"{gateway.url}/metrics", headers={"X-API-Key": API_KEY})
    with urlopen(asked, timeout=SECONDS) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"messageflow_{wanted} "))


def enter(kind: type[Listener], gateway: Running, flow: Flow, why: str, **token: Any) -> Listener:
    return kind(gateway, flow.token(name(kind, why), **token))


@each
def test_each_hears_what_is_theirs_and_shows_what_carries_it(
    kind: type[Listener], gateway: Running, flow: Flow
) -> None:
    listener = enter(kind, gateway, flow, "hears")
    flow.push("somebody", "not/theirs")
    flow.push(name(kind, "hears"), "theirs", {"a": "ü\n"})
    assert listener.hear() == ("theirs", {"a": "ü\n"})
    transport, dialect = LISTENERS[kind]
    assert figure(gateway, f'sessions_by_transport{{dialect="{dialect}",transport="{transport}"}}') >= 1
    listener.abort()


@each
def test_a_request_that_is_aborted_is_gone_within_two_seconds(
    kind: type[Listener], gateway: Running, flow: Flow
) -> None:
    listener = enter(kind, gateway, flow, "aborts")
    assert flow.online(name(kind, "aborts"))
    listener.abort()
    wait_until(lambda: not flow.online(name(kind, "aborts")), seconds=2)


@each
def test_a_revocation_cuts(kind: type[Listener], gateway: Running, flow: Flow) -> None:
    listener = enter(kind, gateway, flow, "revoked")
    flow.revoke(name(kind, "revoked"))
    assert listener.end() == 3005
    listener.abort()


@each
def test_a_connection_over_the_limit_of_its_user_is_told_to_come_later(
    kind: type[Listener], gateway: Running, flow: Flow
) -> None:
    first = enter(kind, gateway, flow, "twice")
    with ThreadPoolExecutor(1) as pool:
        heard = pool.submit(first.hear)  # who does not answer a ping gives way
        with pytest.raises((Ended, Refused)) as refused:
            enter(kind, gateway, flow, "twice").hear()
        flow.push(name(kind, "twice"), "first")
        assert heard.result(SECONDS) == ("first", None)
    assert refused.value.args[0] in (3404, 429)
    first.abort()


def test_a_token_that_is_over_ends_each_on_time(gateway: Running, flow: Flow) -> None:
    """All at once, since each is a wait."""
    listeners = [enter(kind, gateway, flow, "expires", ttl=3.0) for kind in LISTENERS]
    with ThreadPoolExecutor(len(listeners)) as pool:
        ends = pool.map(Listener.end, listeners)
    assert dict(zip(KINDS.values(), ends, strict=True)) == dict.fromkeys(KINDS.values(), 3005)
    for listener in listeners:
        listener.abort()


def test_who_does_not_read_lags_holds_up_nobody_and_gets_all_in_order(gateway: Running, flow: Flow) -> None:
    """All at once, by broadcasts."""
    listeners = {kind: enter(kind, gateway, flow, "lags") for kind in LISTENERS}
    with flow.batch() as batch:
        for number in range(MANY):
            batch.broadcast("n", [number, LARGE])
    wait_until(lambda: figure(gateway, "lagging") == len(listeners), SECONDS)
    for kind, listener in listeners.items():
        assert [listener.hear()[1][0] for _ in range(MANY)] == [*range(MANY)], kind
    flow.broadcast("live")
    assert {listener.hear()[0] for listener in listeners.values()} == {"live"}
    assert figure(gateway, "lagging") == 0
    for listener in listeners.values():
        listener.abort()


def test_a_drain_tells_each_to_come_back(gateway: Running, flow: Flow) -> None:
    listeners = [enter(kind, gateway, flow, "drains") for kind in LISTENERS]
    with ThreadPoolExecutor(len(listeners)) as pool:
        ends = pool.map(Listener.end, listeners)
        assert gateway.terminate() == 0
    assert dict(zip(KINDS.values(), ends, strict=True)) == dict.fromkeys(KINDS.values(), 3001)
    for listener in listeners:
        listener.abort()
