"""Claims and their checks: what a good token says, and that every other one is refused in the one way it should be."""

from __future__ import annotations

import json
import math
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messageflow.core.claims import Said
from messageflow.core.jws import verify_signature
from messageflow.core.token_keys import Key
from messageflow.core.token_verifier import SubscribeOptions, Verifier, load_keys
from messageflow.core.users import is_user
from messageflow.errors import ConfigurationError, TokenError, TokenExpired, TokenReason
from tests.core.token_forge import (
    CONNECTION,
    NOW,
    SECRET,
    SUBSCRIPTION,
    changed,
    connection,
    forge,
    private_key,
    public_pem,
    signed,
    subscription,
)

DAY = 86_400.0
KEYS = load_keys([SECRET])
VERIFIER = Verifier(KEYS)


def refused(token: str, *, by: Verifier = VERIFIER, as_subscription: bool = False) -> str:
    """Refuse a token for good, not as expired, and return why."""
    with pytest.raises(TokenError) as error:
        (by.subscription if as_subscription else by.connection)(token, NOW)
    assert type(error.value) is TokenError
    return str(error.value)


# What good tokens say


def test_a_plain_connection_token() -> None:
    claims = VERIFIER.connection(connection(), NOW)
    assert (claims.user, claims.expires_at, claims.issued_at) == ("alice", NOW + 600, NOW)
    assert (claims.channels, dict(claims.subs), claims.info) == ((), {}, None)


def test_a_connection_token_with_everything() -> None:
    token = connection(
        jti="n1",
        channels=["news", "chat:a"],
        info={"name": "Alice"},
        meta={"plan": 2},
        subs={"chat:b": {"info": [1], "data": {"x": None}, "override": {"presence": {"value": True}}}, "chat:c": {}},
        unknown={"claims": "are ignored"},
    )
    claims = VERIFIER.connection(token, NOW)
    assert claims.channels == ("news", "chat:a")
    assert claims.info == b'{"name":"Alice"}'
    assert claims.subs == {
        "chat:b": SubscribeOptions(info=b"[1]", data=b'{"x":null}', presence=True),
        "chat:c": SubscribeOptions(),
    }


def test_a_subscription_token_with_everything() -> None:
    flags = ["presence", "join_leave", "force_recovery", "force_positioning", "force_push_join_leave"]
    token = subscription(
        jti="n2", client="c1", info={"seat": 4}, override={flag: {"value": flag == "presence"} for flag in flags}
    )
    claims = VERIFIER.subscription(token, NOW)
    assert (claims.user, claims.channel, claims.client) == ("alice", "news", "c1")
    assert (claims.expires_at, claims.issued_at, claims.info) == (NOW + 600, NOW, b'{"seat":4}')
    assert [getattr(claims.options, flag) for flag in flags] == [True, False, False, False, False]


@pytest.mark.parametrize("algorithm", ["HS256", "EdDSA", "RS256", "ES256"])
def test_a_token_of_each_algorithm_made_by_pyjwt_is_believed(algorithm: str) -> None:
    key = SECRET if algorithm == "HS256" else private_key(algorithm)
    keys = load_keys([key]) if isinstance(key, str) else load_keys(public_keys_pem=[public_pem(key)])
    assert Verifier(keys).connection(signed(algorithm, key), NOW).user == "alice"
    assert Verifier(keys).subscription(signed(algorithm, key, SUBSCRIPTION), NOW).channel == "news"


def test_base64_twins_carry_json_and_win() -> None:
    spelled = b64encode(b'{"a": "\xc3\xa9"}').decode()
    claims = VERIFIER.connection(connection(info={"b": 1}, b64info=spelled, subs={"n": {"b64data": spelled}}), NOW)
    assert (claims.info, claims.subs["n"].data) == ('{"a":"é"}'.encode(), '{"a":"é"}'.encode())


def test_json_from_a_token_stands_on_one_line_and_is_not_altered() -> None:
    payload = b'{"sub":"alice","exp":%d,"info":{\n "big" : 12345678901234567890123, "s": "a\\nb"\r\n}}' % (NOW + 9)
    assert VERIFIER.connection(forge(payload=payload), NOW).info == b'{"big":12345678901234567890123,"s":"a\\nb"}'


@pytest.mark.parametrize("claim", ["info", "meta", "b64info", "channels", "subs", "iat", "nbf", "expire_at", "iss"])
def test_a_claim_that_is_null_is_not_there(claim: str) -> None:
    claims = VERIFIER.connection(forge(payload={**CONNECTION, claim: None}), NOW)
    assert (claims.info, claims.channels, dict(claims.subs)) == (None, (), {})


# Dates


@pytest.mark.parametrize("exp", [NOW + 1, int(NOW) + 1, NOW + 0.001, NOW + DAY])
def test_an_expiry_may_be_whole_or_broken(exp: float) -> None:
    assert VERIFIER.connection(connection(exp=exp), NOW).expires_at == exp


@pytest.mark.parametrize("exp", [NOW, int(NOW), NOW - 0.001, NOW - 600, 1])
@pytest.mark.parametrize("iat", [NOW - 3600, None])
def test_a_token_whose_time_is_over_is_expired(exp: float, iat: float | None) -> None:
    iat = iat and min(iat, exp)
    with pytest.raises(TokenExpired):
        VERIFIER.connection(connection(exp=exp, iat=iat), NOW)
    with pytest.raises(TokenExpired):
        VERIFIER.subscription(subscription(exp=exp, iat=iat), NOW)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sub": "*"},
        {"channel": "news"},
        {"iat": NOW + 31},
        {"nbf": NOW + 31},
        {"subs": {"": {}}},
        {"b64info": "%"},
        {"channels": [""]},
    ],
)
def test_a_token_that_is_expired_and_wrong_is_wrong(wrong: dict[str, Any]) -> None:
    refused(connection(exp=NOW - 1, **wrong))


@pytest.mark.parametrize(
    ("exp", "reason"),
    [
        (None, "has no exp: give it one, or set allow_token_without_expiry"),
        ("1800000600", "Expected `float | null`, got `str`"),
        ("soon", "Expected `float | null`, got `str`"),
        (True, "Expected `float | null`, got `bool`"),
        ([NOW + 600], "Expected `float | null`, got `array`"),
        ({"value": NOW + 600}, "Expected `float | null`, got `object`"),
        (0, "exp of the token is not a date"),
        (-1, "exp of the token is not a date"),
        (-1e308, "exp of the token is not a date"),
        (NOW + DAY + 1, "lives longer than 86400 s"),
        (NOW * 1000, "lives longer"),
        (9e18, "lives longer"),
        (2**63, "lives longer"),
        (10**30, "lives longer"),
        (1e308, "lives longer"),
    ],
)
def test_an_expiry_that_is_no_near_date_is_refused(exp: object, reason: str) -> None:
    assert reason in refused(connection(exp=exp))
    assert reason in refused(subscription(exp=exp), as_subscription=True)


def test_a_token_without_an_expiry_is_good_for_ever_where_that_is_allowed() -> None:
    allowing = Verifier(KEYS, allow_endless=True)
    for iat in (NOW - 900 * DAY, None):
        assert allowing.connection(connection(exp=None, iat=iat), NOW).expires_at is None
        assert allowing.subscription(subscription(exp=None, iat=iat), NOW).expires_at is None
    assert allowing.connection(connection(exp=None, expire_at=NOW + 60), NOW).expires_at == NOW + 60
    assert "lives longer" in refused(connection(exp=NOW + DAY + 1), by=allowing)
    with pytest.raises(TokenExpired):
        allowing.connection(connection(exp=NOW - 1), NOW)


def test_a_ticket_has_an_expiry_whatever_is_allowed() -> None:
    for resumed in (False, True):
        with pytest.raises(TokenError) as error:
            Verifier(KEYS, allow_endless=True).ticket(connection(exp=None, ticket=True, jti="j"), NOW, resumed=resumed)
        assert error.value.reason == "missing_claim"


@pytest.mark.parametrize("spelled", [b"null", b"1e999", b"-1e999", b"NaN", b"Infinity", b"0x7", b"01", b"1" * 5000])
@pytest.mark.parametrize("claim", [b"exp", b"expire_at", b"x"])
def test_a_number_that_json_or_a_clock_does_not_have_is_refused(claim: bytes, spelled: bytes) -> None:
    token = forge(payload=b'{"sub":"alice","exp":%d,"%b":%b}' % (NOW - 5, claim, spelled))
    with pytest.raises(TokenError):
        VERIFIER.connection(token, NOW)


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("iat", NOW + 31),
        ("iat", 1e308),
        ("iat", "1800000000"),
        ("iat", True),
        ("iat", [NOW]),
        ("iat", NOW - DAY),  # the lifetime is then over the limit
        ("iat", -1),
        ("iat", -1e308),
        ("nbf", NOW + 31),
        ("nbf", 1e308),
        ("nbf", "0"),
        ("nbf", False),
        ("expire_at", "0"),
        ("expire_at", True),
    ],
)
def test_another_date_that_is_wrong_is_refused(claim: str, value: object) -> None:
    refused(connection(**{claim: value}))
    refused(subscription(**{claim: value}), as_subscription=True)


def test_clocks_may_differ_by_the_leeway() -> None:
    token = connection(iat=NOW + 30, nbf=NOW + 30)
    assert VERIFIER.connection(token, NOW).issued_at == NOW + 30
    assert "in the future" in refused(token, by=Verifier(KEYS, leeway=29))


def test_without_iat_the_lifetime_counts_from_now_and_the_leeway() -> None:
    assert VERIFIER.connection(connection(iat=None, exp=NOW + DAY + 30), NOW)
    assert "lives longer" in refused(connection(iat=None, exp=NOW + DAY + 31))


def test_the_lifetime_limit_is_a_setting() -> None:
    assert "longer than 60 s, the token_lifetime_limit" in refused(
        connection(exp=NOW + 61), by=Verifier(KEYS, lifetime_limit=60)
    )
    assert Verifier(KEYS, lifetime_limit=math.inf).connection(connection(exp=9e18), NOW).expires_at == 9e18


@pytest.mark.parametrize(
    ("expire_at", "end"), [(NOW + 5, NOW + 5), (NOW + 3600, NOW + 3600), (0, NOW + DAY), (9e18, NOW + DAY)]
)
def test_expire_at_ends_the_connection_within_the_lifetime_limit(expire_at: float, end: float) -> None:
    assert VERIFIER.connection(connection(expire_at=expire_at), NOW).expires_at == end


def test_expire_at_zero_means_never_where_lifetimes_have_no_limit() -> None:
    assert Verifier(KEYS, lifetime_limit=math.inf).connection(connection(expire_at=0), NOW).expires_at is None


@pytest.mark.parametrize(("expire_at", "end"), [(NOW + 5, NOW + 5), (NOW + 3600, NOW + 3600), (0, None)])
def test_expire_at_ends_the_subscription_and_zero_checks_it_once(expire_at: float, end: float | None) -> None:
    assert VERIFIER.subscription(subscription(expire_at=expire_at), NOW).expires_at == end


@pytest.mark.parametrize("expire_at", [NOW, NOW - 1, 1, -1])
def test_an_expire_at_that_has_passed_is_expired(expire_at: float) -> None:
    with pytest.raises(TokenExpired):
        VERIFIER.connection(connection(expire_at=expire_at), NOW)
    with pytest.raises(TokenExpired):
        VERIFIER.subscription(subscription(expire_at=expire_at), NOW)


@pytest.mark.parametrize("expire_at", [0, NOW + 60])
def test_expire_at_does_not_revive_a_token(expire_at: float) -> None:
    with pytest.raises(TokenExpired):
        VERIFIER.connection(connection(exp=NOW, expire_at=expire_at), NOW)
    with pytest.raises(TokenExpired):
        VERIFIER.subscription(subscription(exp=NOW, expire_at=expire_at), NOW)


# Users


@pytest.mark.parametrize(
    "user", ["a", "42", "alice@example.com", "Zoë 王", "null", "*x", "#alice", "__proto__", "x" * 255]
)
def test_a_user_is_any_short_printable_text(user: str) -> None:
    assert is_user(user)
    assert VERIFIER.connection(connection(sub=user), NOW).user == user


NO_USERS = ["*", "x" * 256, "é" * 128, "a\x00", "a\nb", "a\r", "\t", "\x1b[2J", "\x7f", "\x85", "a\u2028b", "\u2029"]


@pytest.mark.parametrize("user", NO_USERS)
def test_any_other_text_is_no_user(user: str) -> None:
    assert not is_user(user)
    assert "is no user" in refused(connection(sub=user), by=Verifier(KEYS, allow_anonymous=True))


@pytest.mark.parametrize("sub", [7, 7.5, True, ["alice"], {"id": "alice"}])
def test_a_sub_that_is_no_text_is_refused(sub: object) -> None:
    assert "Expected `str`" in refused(connection(sub=sub))


def test_a_lone_surrogate_in_sub_is_refused() -> None:
    refused(forge(payload=b'{"sub":"\\ud800","exp":%d}' % (NOW + 9)))


@pytest.mark.parametrize("sub", ["", None])
def test_a_token_without_user_is_good_only_where_anonymous_users_are(sub: str | None) -> None:
    assert "names no user" in refused(connection(sub=sub))
    assert Verifier(KEYS, allow_anonymous=True).connection(connection(sub=sub), NOW).user == ""


CLASSIC = Verifier(KEYS, user_claim="user_id")


@pytest.mark.parametrize("user_id", ["7", 7])
def test_the_user_is_in_the_claim_of_an_older_application(user_id: object) -> None:
    token = connection(sub=None, user_id=user_id)
    assert CLASSIC.connection(token, NOW).user == "7"
    assert "names no user" in refused(token)


@pytest.mark.parametrize("user_id", ["", None, True, 7.5, ["7"]])
def test_such_a_claim_that_names_nobody_is_no_user(user_id: object) -> None:
    assert "names no user" in refused(connection(sub=None, user_id=user_id), by=CLASSIC)


def test_a_sub_goes_before_such_a_claim() -> None:
    assert CLASSIC.connection(connection(sub="alice", user_id="bob"), NOW).user == "alice"
    assert "is no user" in refused(connection(sub=None, user_id="*"), by=CLASSIC)


# Audience and issuer


@pytest.mark.parametrize("aud", ["here", ["here"], ["there", "here"]])
def test_the_right_audience_is_believed(aud: object) -> None:
    assert Verifier(KEYS, audience="here").connection(connection(aud=aud), NOW)


@pytest.mark.parametrize(
    "aud", [None, "there", "", "her", "here,there", "HERE", [], ["there"], [["here"]], {"here": 1}, 1]
)
def test_another_audience_is_refused(aud: object) -> None:
    verifier = Verifier(KEYS, audience="here")
    refused(connection(aud=aud), by=verifier)
    refused(subscription(aud=aud), by=verifier, as_subscription=True)


def test_the_right_issuer_is_believed() -> None:
    assert Verifier(KEYS, issuer="app").connection(connection(iss="app"), NOW)


@pytest.mark.parametrize("iss", [None, "", "APP", "app ", "other", ["app"], 1])
def test_another_issuer_is_refused(iss: object) -> None:
    verifier = Verifier(KEYS, issuer="app")
    refused(connection(iss=iss), by=verifier)
    refused(subscription(iss=iss), by=verifier, as_subscription=True)


def test_audience_and_issuer_are_not_read_where_none_is_configured() -> None:
    assert VERIFIER.connection(connection(aud="anyone", iss="anyone"), NOW)


# One purpose each


def test_a_subscription_token_does_not_connect() -> None:
    assert "for a subscription" in refused(subscription())


@pytest.mark.parametrize("channel", ["", "news"])
def test_a_token_with_the_claim_channel_never_connects(channel: str) -> None:
    assert "for a subscription" in refused(connection(channel=channel))


def test_a_connection_token_does_not_subscribe() -> None:
    assert "names no channel" in refused(connection(channels=["news"]), as_subscription=True)


@pytest.mark.parametrize("channel", ["", 7, ["news"], {"news": 1}, True])
def test_a_subscription_token_names_one_channel(channel: object) -> None:
    refused(forge(payload={**SUBSCRIPTION, "channel": channel}), as_subscription=True)


def test_a_channel_of_null_serves_neither_purpose() -> None:
    token = forge(payload={**CONNECTION, "channel": None})
    refused(token)
    refused(token, as_subscription=True)


# The rest of the payload


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"alice"',
        b"{}{}",
        b"sub=alice&exp=1800000600",
        b'\xef\xbb\xbf{"sub":"alice","exp":1800000600}',
        json.dumps(CONNECTION).encode("utf-16"),
        b'{"sub":"alice","exp":1800000600,"info":"\xff"}',
        b'{"sub":"alice","exp":1800000600,"info":"\n"}',
        b'{"sub":"alice","exp":1800000600,"info":1e999}',
        b'{"sub":"alice","exp":1800000600,"info":' + b"1" * 5000 + b"}",
        b'{"sub":"alice","exp":1800000600,"x":' + b"[" * 2900 + b"]" * 2900 + b"}",
        b'{"sub":"alice","exp":1800000600,"info":' + b"[" * 2900 + b"]" * 2900 + b"}",
        b'{"sub":"alice","exp":1800000600,"info":' + b'{"a":' * 1000 + b"1" + b"}" * 1000 + b"}",
    ],
    ids=lambda payload: repr(payload[:48]),
)
def test_a_payload_that_is_not_claims_is_refused(payload: bytes) -> None:
    refused(forge(payload=payload))


@pytest.mark.parametrize(
    "claims",
    [
        {"channels": "news"},
        {"channels": [7]},
        {"channels": ["news", ""]},
        {"channels": {"news": {}}},
        {"subs": ["news"]},
        {"subs": {"news": None}},
        {"subs": {"": {}}},
        {"subs": {"news": {"override": {"presence": True}}}},
        {"subs": {"news": {"override": {"presence": {"value": 1}}}}},
        {"subs": {"news": {"override": {"presence": {}}}}},
        {"subs": {"news": {"b64info": "e30"}}},
        {"b64info": "!"},
        {"b64info": "e30"},
        {"b64info": "é"},
        {"b64info": 7},
        {"b64info": b64encode(b"not json").decode()},
        {"b64info": b64encode(b'"\xff"').decode()},
        {"b64info": b64encode(b"{}\n{}").decode()},
        {"jti": 7},
        {"jti": ["n1"]},
    ],
    ids=str,
)
def test_a_claim_of_another_shape_is_refused(claims: dict[str, Any]) -> None:
    refused(connection(**claims))


def test_no_message_repeats_what_a_token_says() -> None:
    secret = "pa55word"
    payloads: list[dict[str, Any]] = [{**CONNECTION, claim: [secret]} for claim in ("sub", "exp", "aud", "jti", "iss")]
    payloads += [
        {**CONNECTION, "subs": {secret: 1}},
        {**CONNECTION, "sub": f"{secret}\n"},
        {**CONNECTION, "iss": secret},
    ]
    tokens = [*(forge(payload=payload) for payload in payloads), forge({"alg": secret}), forge({"typ": [secret]})]
    verifier = Verifier(KEYS, issuer="app", audience="here")
    for message in (refused(token, by=verifier) for token in [*tokens, f"{secret}.{secret}.{secret}"]):
        assert secret not in message


# Settings


@pytest.mark.parametrize("leeway", [-1, 30.1, math.inf, math.nan])
def test_a_leeway_out_of_bounds_is_refused(leeway: float) -> None:
    with pytest.raises(ConfigurationError, match="leeway"):
        Verifier(KEYS, leeway=leeway)


@pytest.mark.parametrize("limit", [0, -1, math.nan])
def test_a_lifetime_limit_out_of_bounds_is_refused(limit: float) -> None:
    with pytest.raises(ConfigurationError, match="lifetime"):
        Verifier(KEYS, lifetime_limit=limit)


# Laws

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(Said.__struct_fields__)
DATES = st.floats(NOW - DAY, NOW + DAY) | st.integers(int(NOW) - 60, int(NOW) + 600)

law = settings(deadline=None)  # a law holds or it does not; how fast is a benchmark's matter


@law
@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")) | st.from_regex(r"\A[\w-]+(\.[\w-]+){1,3}\Z"))
def test_no_text_is_a_token_by_chance(token: str) -> None:
    refused(token)


@law
@given(st.integers(0, len(connection()) - 1), st.characters(), st.sampled_from(["replace", "insert", "delete"]))
def test_a_token_with_one_character_changed_is_refused(place: int, character: str, change: str) -> None:
    good = connection()
    middle = {"replace": character, "insert": character + good[place], "delete": ""}[change]
    token = good[:place] + middle + good[place + 1 :]
    assert token == good or refused(token)


@law
@given(st.dictionaries(NAMES, JSON | DATES, max_size=6), st.booleans())
def test_signed_claims_of_any_shape_are_believed_within_bounds_or_refused(
    claims: dict[str, Any], as_subscription: bool
) -> None:
    token = forge(payload=changed(SUBSCRIPTION if as_subscription else CONNECTION, claims))
    check = VERIFIER.subscription if as_subscription else VERIFIER.connection
    try:
        believed = check(token, NOW)
    except TokenError:
        return
    assert is_user(believed.user)
    assert believed.expires_at is None or believed.expires_at > NOW


@law
@given(st.binary(max_size=400), st.binary(max_size=800))
def test_signed_bytes_of_any_kind_are_refused_or_are_claims(header: bytes, payload: bytes) -> None:
    for token in (forge(header, CONNECTION), forge(payload=payload)):
        refused(token)


@law
@given(st.binary(min_size=1, max_size=200))
def test_every_payload_comes_out_as_it_was_signed(payload: bytes) -> None:
    assert verify_signature(forge(payload=payload), KEYS) == payload


PARTIES = {TokenReason.AUDIENCE, TokenReason.ISSUER}
RSA_KEY = load_keys(public_keys_pem=[public_pem(private_key("RS256"))])


@pytest.mark.parametrize(
    ("token", "keys", "reason"),
    [
        (connection(exp=NOW - 1), KEYS, TokenReason.EXPIRED),
        (connection(nbf=NOW + 100), KEYS, TokenReason.NOT_YET_VALID),
        (connection(iat=NOW + 100), KEYS, TokenReason.NOT_YET_VALID),
        (connection(exp=NOW + 10**6), KEYS, TokenReason.TOO_LONG_A_LIFE),
        (forge(secret="another secret of forty bytes, not ours."), KEYS, TokenReason.BAD_SIGNATURE),
        (forge({"alg": "HS512"}), KEYS, TokenReason.ALGORITHM),
        (forge(), RSA_KEY, TokenReason.ALGORITHM),
        (forge({"alg": "HS256", "kid": "new"}), [Key("HS256", SECRET.encode(), "old")], TokenReason.UNKNOWN_KEY),
        (forge(), [], TokenReason.UNKNOWN_KEY),
        (connection(aud="others"), KEYS, TokenReason.AUDIENCE),
        (connection(aud="push", iss="others"), KEYS, TokenReason.ISSUER),
        (connection(exp=None), KEYS, TokenReason.MISSING_CLAIM),
        (connection(sub=None), KEYS, TokenReason.MISSING_CLAIM),
        (connection(exp="soon"), KEYS, TokenReason.MALFORMED),
        (forge({"typ": "JWT"}), KEYS, TokenReason.MALFORMED),
        (subscription(aud="push", iss="us"), KEYS, TokenReason.WRONG_USE),
        ("", KEYS, TokenReason.MALFORMED),
    ],
)
def test_every_refusal_has_its_reason(token: str, keys: list[Key], reason: TokenReason) -> None:
    verifier = Verifier(keys, audience="push", issuer="us") if reason in PARTIES else Verifier(keys)
    with pytest.raises(TokenError) as caught:
        verifier.connection(token, NOW)
    assert caught.value.reason is reason
