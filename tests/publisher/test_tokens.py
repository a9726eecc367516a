"""Tokens as the gateway reads them: made here, checked by the other side's own verifier."""

from __future__ import annotations

import json
import math
import os
import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import jwt
import pytest

from messageflow import AsyncFlow, ConfigurationError, EncodingError, Flow
from messageflow.core.token_verifier import Verifier, load_keys
from messageflow.gateway.settings_loading import load_settings
from messageflow.publisher.discovery import find, write_dev_file
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


DAY = 86_400


@pytest.mark.parametrize("ttl", [timedelta(days=30), DAY + 1, Decimal(DAY * 2), float("inf")])
def test_a_token_that_would_live_too_long_is_refused_when_it_is_made(flow: Flow, ttl: Any) -> None:
    with pytest.raises(ValueError, match=r"its token_lifetime_limit, 86400 s here.*MESSAGEFLOW_TOKEN_LIFETIME_LIMIT"):
        flow.token("alice", ttl)
    with pytest.raises(ValueError, match=r"its token_lifetime_limit, 86400 s here.*MESSAGEFLOW_TOKEN_LIFETIME_LIMIT"):
        flow.subscription_token("alice", "news", ttl)


async def test_async_flow_refuses_it_too() -> None:
    with pytest.raises(ValueError, match="MESSAGEFLOW_TOKEN_LIFETIME_LIMIT"):
        await AsyncFlow(token_secret=SECRET).token("alice", timedelta(days=30))


@pytest.mark.parametrize("ttl", [DAY, timedelta(days=1), 1, 0.2, 1.5])
def test_a_token_of_any_permitted_length_is_believed(flow: Flow, ttl: Any) -> None:
    for turn in range(20):
        made = flow.token("alice", ttl)
        assert verifier().connection(made, claims_unchecked(made)["iat"]).user == "alice", turn


def claims_unchecked(token: str) -> dict[str, Any]:
    said: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return said


def test_the_lifetime_limit_comes_from_argument_environment_or_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Flow(token_secret=SECRET, token_lifetime_limit=timedelta(days=40)).token("alice", timedelta(days=30))
    assert Flow(token_secret=SECRET, token_lifetime_limit=math.inf).token("alice", timedelta(days=3000))
    monkeypatch.setenv("MESSAGEFLOW_TOKEN_LIFETIME_LIMIT", "10m\n")
    with pytest.raises(ValueError, match="token_lifetime_limit, 600 s here"):
        Flow(token_secret=SECRET).token("alice")
    assert Flow(token_secret=SECRET, token_lifetime_limit=900).token("alice")
    monkeypatch.setenv("MESSAGEFLOW_TOKEN_LIFETIME_LIMIT", "a month")
    with pytest.raises(ConfigurationError, match="MESSAGEFLOW_TOKEN_LIFETIME_LIMIT is 'a month'"):
        Flow(token_secret=SECRET).token("alice")
    with pytest.raises(ValueError, match="token_lifetime_limit must be more than 0"):
        Flow(token_lifetime_limit=0)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a user with a line end": ({"user": "a\n"}, "no user"),
    "a user of 256 bytes": ({"user": "é" * 128}, "no user"),
    "more than 8 KiB": ({"channels": [f"news-{number}" for number in range(900)]}, "longer than 8192"),
    "too much to tell": ({"info": "x" * 9000}, "longer than 8192"),
    "another's channel": ({"channels": ["#bob"]}, "cannot be granted"),
    "an internal channel": ({"subs": {"!revoked": {}}}, "cannot be granted"),
    "a channel with a space": ({"channels": ["a b"]}, "no name of a channel"),
    "a channel of 256 letters": ({"subs": {"x" * 256: {}}}, "no name of a channel"),
    "a channel that is not ASCII": ({"channels": ["caf\xe9"]}, "no name of a channel"),
    "options that are none": ({"subs": {"news": 1}}, "would refuse"),
    "base64 that is none": ({"b64info": "%%%"}, "b64info"),
    "good when it is over": ({"nbf": 9e12}, "expired"),
    "a date that is text": ({"nbf": "tomorrow"}, "would refuse"),
    "over before it begins": ({"expire_at": 1}, "expired"),
}


@pytest.mark.parametrize(("arguments", "message"), REFUSED.values(), ids=REFUSED)
def test_a_token_that_the_gateway_would_refuse_is_not_made(flow: Flow, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        flow.token(**{"user": "alice", **arguments})


@pytest.mark.parametrize("channel", ["#bob", "*", "!revoked", "a b", "x" * 256])
def test_a_subscription_token_that_no_gateway_would_take_is_not_made(flow: Flow, channel: str) -> None:
    with pytest.raises(ValueError, match="channel"):
        flow.subscription_token("alice", channel)


def test_a_token_that_is_good_later_is_made(flow: Flow) -> None:
    later = time.time() + 60
    assert verifier().connection(flow.token("alice", nbf=later, info={"a": 1}), later).info == b'{"a":1}'


SIMPLE = "a-secret-of-forty-bytes-without-a-comma."


@pytest.mark.parametrize(
    "written", [f"{SIMPLE}\n", f" {SIMPLE}\r\n", f"\ufeff{SIMPLE}", f",{SIMPLE},old", f"\t{SIMPLE} ,old"]
)
def test_secrets_are_read_alike_by_the_gateway_and_by_a_publisher(
    written: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file that ends with a line end: the gateway stripped it, and the publisher did not."""
    toml = tmp_path / "messageflow.toml"
    toml.write_text(f"token_secret = {json.dumps(written.split(','))}\napi_key = {json.dumps(written.split(',')[-1])}")
    by_file = load_settings({}, {}, toml)
    by_variable = load_settings({}, {"MESSAGEFLOW_TOKEN_SECRET": written})
    by_flag = load_settings({"token_secret": written.split(",")}, {})
    assert {each.tokens.token_secret[0] for each in (by_file, by_variable, by_flag)} == {SIMPLE}
    checked = Verifier(load_keys(by_file.tokens.token_secret[:1]))
    monkeypatch.setenv("MESSAGEFLOW_TOKEN_SECRET", written)
    one = written.split(",")[-2 if "," in written else -1]
    for flow in (Flow(), Flow(token_secret=one), AsyncFlow(token_secret=one)):
        token = flow._make_token("alice", 60, (), None, (), {})
        assert checked.connection(token, time.time()).user == "alice"


def test_a_secret_in_a_development_file_is_read_alike() -> None:
    write_dev_file("http://dev", "key\n", f"{SECRET}\n")
    assert claims(Flow().token("alice"))["sub"] == "alice"
    assert find(None, None, None, {"MESSAGEFLOW_DATA_DIR": os.environ["MESSAGEFLOW_DATA_DIR"]}).api_key == "key"


def test_names_in_variables_are_read_as_the_gateway_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESSAGEFLOW_TOKEN_ISSUER", "us\n")
    monkeypatch.setenv("MESSAGEFLOW_TOKEN_AUDIENCE", " them")
    monkeypatch.setenv("MESSAGEFLOW_URL", "http://gateway\n")
    token = Flow(token_secret=SECRET).token("alice")
    assert verifier(issuer="us", audience="them").connection(token, time.time()).user == "alice"
    assert Flow().url == "http://gateway"


@pytest.mark.parametrize("secret", ["-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "\udcff" * 40])
def test_a_secret_that_cannot_be_used_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Flow(token_secret=secret).token("alice")
    assert secret[5:20] not in str(caught.value)


def test_a_token_says_what_it_allows_in_channels() -> None:
    token = Flow(token_secret=SECRET).token("alice", allow=["news:*", "org-7:*=subscribe,history"])
    assert claims(token)["allow"] == ["news:*", "org-7:*=subscribe,history"]
    assert "allow" not in claims(Flow(token_secret=SECRET).token("alice"))


@pytest.mark.parametrize(
    ("allow", "problem"),
    [
        (["a*b"], "a star stands only at the end"),
        (["news:*=read"], "subscribe, publish, history, presence"),
        (["#bob"], "comes by itself"),
        (["n:*"] * 101, "use patterns"),
    ],
)
def test_what_no_token_can_allow_is_refused_where_it_is_made(allow: list[str], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Flow(token_secret=SECRET).token("alice", allow=allow)


@pytest.mark.parametrize("allow", ["news:*", [7]])
def test_what_is_no_list_of_patterns_is_refused(allow: Any) -> None:
    with pytest.raises(TypeError):
        Flow(token_secret=SECRET).token("alice", allow=allow)
