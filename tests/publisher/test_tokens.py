"""Tokens as the gateway reads them: made here, checked by the other side's own verifier."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import jwt
import pytest

from messageflow import ConfigurationError, EncodingError, Flow
from messageflow.core.tokens import Verifier, load_keys
from messageflow.publisher.discovery import write_dev_file
from tests.publisher.conftest import Face

SECRET = "a secret of forty bytes, no less than it"


@pytest.fixture
def flow() -> Flow:
    return Flow(token_secret=SECRET)


def verifier(**options: Any) -> Verifier:
    return Verifier(load_keys([SECRET]), **{"audience": None, "issuer": None, **options})


def claims(token: str) -> dict[str, Any]:
    said: dict[str, Any] = jwt.decode(token, SECRET, algorithms=["HS256"])
    return said


def test_gateway_believes_the_token(face: Face) -> None:
    flow = face.make(None, token_secret=SECRET)
    token = face.call(flow, "token", "alice", channels=["news", "chat:1"], info={"name": "Alice"})
    said = verifier().connection(token, time.time())
    assert (said.user, said.channels, said.info) == ("alice", ("news", "chat:1"), b'{"name":"Alice"}')


def test_gateway_believes_the_subscription_token(face: Face) -> None:
    flow = face.make(None, token_secret=SECRET)
    token = face.call(flow, "subscription_token", 42, "$news:eu")
    said = verifier().subscription(token, time.time())
    assert (said.user, said.channel) == ("42", "$news:eu")


@pytest.mark.parametrize(("ttl", "seconds"), [(None, 900), (60, 60), (1.5, 1.5), (timedelta(hours=2), 7200)])
def test_token_is_good_for_so_long(flow: Flow, ttl: Any, seconds: int) -> None:
    said = claims(flow.token("alice") if ttl is None else flow.token("alice", ttl))
    assert seconds - 1 < said["exp"] - said["iat"] <= seconds


def test_a_token_says_to_the_fraction_of_a_second_when_it_was_made(flow: Flow) -> None:
    before = time.time()
    token = flow.token("alice")
    made = verifier().connection(token, time.time()).issued_at
    assert made is not None
    assert before <= made <= time.time()


def test_every_token_has_a_name_of_its_own(flow: Flow) -> None:
    assert claims(flow.token("alice"))["jti"] != claims(flow.token("alice"))["jti"]


def test_further_claims_stand_in_the_token(flow: Flow) -> None:
    assert claims(flow.token("alice", tenant="t1", since=timedelta(seconds=2)))["since"] == "PT2S"


@pytest.mark.parametrize("name", ["sub", "exp", "iss", "channel"])
def test_claim_that_is_ours_is_refused(flow: Flow, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        flow.token("alice", 60, **{name: "x"})


@pytest.mark.parametrize("ttl", [0, -1, timedelta(0), float("nan")])
def test_token_that_is_never_good_is_refused(flow: Flow, ttl: Any) -> None:
    with pytest.raises(ValueError, match="ttl"):
        flow.token("alice", ttl)


@pytest.mark.parametrize("user", ["", "*"])
def test_token_for_nobody_or_everyone_is_refused(flow: Flow, user: str) -> None:
    with pytest.raises(ValueError, match=r"user|everyone"):
        flow.token(user)


def test_one_channel_as_a_string_is_refused(flow: Flow) -> None:
    with pytest.raises(TypeError, match="list of names"):
        flow.token("alice", channels="news")


def test_claim_that_is_no_json_is_refused(flow: Flow) -> None:
    with pytest.raises(EncodingError, match=r"claims\['info'\]"):
        flow.token("alice", info=object())


def test_issuer_and_audience_come_from_argument_or_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = verifier(issuer="us", audience="them")
    given = Flow(token_secret=SECRET, token_issuer="us", token_audience="them")
    assert checked.connection(given.token("alice"), time.time()).user == "alice"
    monkeypatch.setenv("MESSAGEFLOW_TOKEN_ISSUER", "us")
    monkeypatch.setenv("MESSAGEFLOW_TOKEN_AUDIENCE", "them")
    assert checked.connection(Flow(token_secret=SECRET).token("alice"), time.time()).user == "alice"


def test_secret_of_the_development_gateway_is_found() -> None:
    write_dev_file("http://dev", "key", SECRET)
    assert claims(Flow().token("alice"))["sub"] == "alice"


def test_no_secret_names_the_remedy() -> None:
    with pytest.raises(ConfigurationError, match="MESSAGEFLOW_TOKEN_SECRET"):
        Flow().token("alice")


def test_short_secret_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigurationError, match="7 bytes long, 32") as caught:
        Flow(token_secret="hunter2").token("alice")
    assert "hunter2" not in str(caught.value)
