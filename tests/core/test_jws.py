"""The signed form: vectors of the RFCs, rotation, and every way a token may be spelled or signed wrongly."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from messageflow.core.jws import verify_signature
from messageflow.core.token_keys import AlgorithmName, Key, load_keys
from messageflow.core.token_limits import TOKEN_BYTES
from messageflow.errors import TokenError
from tests.core.token_forge import (
    CONNECTION,
    HEADER,
    SECRET,
    as_bytes,
    b64,
    forge,
    private_key,
    public_pem,
    signature,
    signed,
)

ALGORITHMS = ["EdDSA", "RS256", "ES256", "ES384", "ES512"]
GOOD = forge()
HEAD, BODY, MARK = GOOD.split(".")
SHARED = load_keys([SECRET])
PUBLIC = public_pem(private_key("EdDSA"))
OTHER = "another secret of forty bytes, not ours."


def number(text: str) -> int:
    return int.from_bytes(urlsafe_b64decode(text + "=="))


def rfc7515_hs256() -> Key:
    text = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow=="
    return Key("HS256", urlsafe_b64decode(text))


def rfc7515_es256() -> Key:
    x, y = number("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"), number("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")
    return Key("ES256", ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key())


def rfc8037_eddsa() -> Key:
    public = urlsafe_b64decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    return Key("EdDSA", ed25519.Ed25519PublicKey.from_public_bytes(public))


RFC7515_PAYLOAD = b'{"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true}'


@pytest.mark.parametrize(
    ("key", "token", "payload"),
    [
        pytest.param(
            rfc7515_hs256(),
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
            ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
            ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            RFC7515_PAYLOAD,
            id="RFC 7515 A.1 HS256",
        ),
        pytest.param(
            rfc7515_es256(),
            "eyJhbGciOiJFUzI1NiJ9"
            ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
            ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
            RFC7515_PAYLOAD,
            id="RFC 7515 A.3 ES256",
        ),
        pytest.param(
            rfc8037_eddsa(),
            "eyJhbGciOiJFZERTQSJ9"
            ".RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
            ".hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
            b"Example of Ed25519 signing",
            id="RFC 8037 A.4 EdDSA",
        ),
    ],
)
def test_the_examples_of_the_rfcs_are_read(key: Key, token: str, payload: bytes) -> None:
    assert verify_signature(token, [key]) == payload


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_made_by_pyjwt_is_read_with_the_public_key(algorithm: str) -> None:
    key = private_key(algorithm)
    payload = verify_signature(signed(algorithm, key), load_keys(public_keys_pem=[public_pem(key)]))
    assert json.loads(payload) == CONNECTION


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_each_length_of_hmac_is_read_by_a_key_of_that_length_alone(digest: str) -> None:
    lengths: dict[str, AlgorithmName] = {"sha256": "HS256", "sha384": "HS384", "sha512": "HS512"}
    right = lengths.pop(digest)
    token = forge({"alg": right}, digest=digest)
    assert json.loads(verify_signature(token, [Key(right, SECRET.encode())])) == CONNECTION
    with pytest.raises(TokenError, match="no configured key"):
        verify_signature(token, [Key(other, SECRET.encode()) for other in lengths.values()])


def test_in_a_rotation_both_secrets_are_good_and_the_one_taken_away_is_not() -> None:
    tokens = {secret: forge(secret=secret) for secret in (SECRET, OTHER)}
    both = load_keys([SECRET, OTHER])
    assert [json.loads(verify_signature(token, both)) for token in tokens.values()] == [CONNECTION, CONNECTION]
    with pytest.raises(TokenError, match="no configured key"):
        verify_signature(tokens[OTHER], load_keys([SECRET]))


def test_where_token_and_key_have_a_kid_only_the_named_key_is_tried() -> None:
    keys = [Key("HS256", SECRET.encode(), "2026"), Key("HS256", OTHER.encode(), "2027")]
    assert verify_signature(forge({"alg": "HS256", "kid": "2026"}), keys)
    assert verify_signature(forge({"alg": "HS256"}), keys)
    with pytest.raises(TokenError, match="no configured key"):
        verify_signature(forge({"alg": "HS256", "kid": "2027"}), keys)


def test_a_key_without_kid_reads_tokens_with_one() -> None:
    assert verify_signature(forge({"alg": "HS256", "kid": "whatever the provider says"}), SHARED)


def test_where_a_header_points_is_not_looked_at() -> None:
    header = {**HEADER, "jku": "https://evil.example/keys", "x5u": "https://evil.example/cert", "cty": "x"}
    assert verify_signature(forge(header), SHARED)


def resigned(header: dict[str, Any], secret: str | bytes) -> str:
    return forge({**HEADER, **header}, secret=secret)


EMBEDDED_KEY = {"kty": "oct", "k": b64(OTHER.encode())}
WRONGLY_SIGNED = {
    "alg none": f"{b64(as_bytes({'alg': 'none'}))}.{BODY}.{MARK}",
    "alg None": f"{b64(as_bytes({'alg': 'None'}))}.{BODY}.{MARK}",
    "alg nOnE": f"{b64(as_bytes({'alg': 'nOnE'}))}.{BODY}.{MARK}",
    "alg NONE": f"{b64(as_bytes({'alg': 'NONE'}))}.{BODY}.{MARK}",
    "alg empty": forge({"alg": ""}),
    "alg in lower case": forge({"alg": "hs256"}),
    "alg with a space": forge({"alg": "HS256 "}),
    "alg unknown": forge({"alg": "HS1"}),
    "alg of another length": forge({"alg": "HS512"}),
    "alg RS256 over an HMAC": forge({"alg": "RS256"}),
    "alg EdDSA over an HMAC": forge({"alg": "EdDSA"}),
    "alg PS256": forge({"alg": "PS256"}),
    "alg ES256K": forge({"alg": "ES256K"}),
    "HMAC with the public key": resigned({}, PUBLIC),
    "HMAC with the public key, stripped": resigned({}, PUBLIC.strip()),
    "HMAC with the public key under its algorithm": resigned({"alg": "EdDSA"}, PUBLIC),
    "another secret": resigned({}, OTHER),
    "an empty secret": resigned({}, b""),
    "kid to an empty file": resigned({"kid": "../../../../dev/null"}, b""),
    "kid to a known file": resigned({"kid": "../"}, b"known contents"),
    "kid as SQL": resigned({"kid": "x' UNION SELECT 'known' -- "}, b"known"),
    "kid as a command": resigned({"kid": "key | echo known"}, b"known"),
    "jwk in the header": resigned({"jwk": EMBEDDED_KEY}, OTHER),
    "jku in the header": resigned({"jku": "https://evil.example/keys"}, OTHER),
    "x5u in the header": resigned({"x5u": "https://evil.example/cert"}, OTHER),
    "x5c in the header": resigned({"x5c": [b64(b"certificate")]}, OTHER),
    "another payload": f"{HEAD}.{b64(as_bytes({**CONNECTION, 'sub': 'bob'}))}.{MARK}",
    "another header": f"{b64(as_bytes({**HEADER, 'x': 1}))}.{BODY}.{MARK}",
    "a shorter signature": f"{HEAD}.{BODY}.{b64(signature(f'{HEAD}.{BODY}')[:-1])}",
    "a longer signature": f"{HEAD}.{BODY}.{b64(signature(f'{HEAD}.{BODY}') + bytes(1))}",
    "a signature of zeros": f"{HEAD}.{BODY}.{b64(bytes(32))}",
    "a signature of the payload alone": f"{HEAD}.{BODY}.{b64(signature(BODY))}",
    "an RSA token for an unknown key": signed("RS256", private_key("RS256")),
    "an EdDSA token for an unknown key": signed("EdDSA", ed25519.Ed25519PrivateKey.generate()),
    "an ES256 signature of zeros": f"{b64(as_bytes({'alg': 'ES256'}))}.{BODY}.{b64(bytes(64))}",
    "an ES256 signature too short": f"{b64(as_bytes({'alg': 'ES256'}))}.{BODY}.{b64(bytes(3))}",
    "an EdDSA signature of zeros": f"{b64(as_bytes({'alg': 'EdDSA'}))}.{BODY}.{b64(bytes(64))}",
}
BADLY_SPELLED = {
    "empty": ("", "three segments"),
    "a word": ("token", "three segments"),
    "two segments": (f"{HEAD}.{BODY}", "three segments"),
    "a fourth segment": (f"{GOOD}.{MARK}", "three segments"),
    "a fourth segment, empty": (f"{GOOD}.", "three segments"),
    "five segments, as JWE has": (f"{GOOD}.{BODY}.{MARK}", "three segments"),
    "dots": ("..", "header .* canonical"),
    "no header": (f".{BODY}.{MARK}", "header .* canonical"),
    "no payload": (f"{HEAD}..{b64(signature(f'{HEAD}.'))}", "payload .* canonical"),
    "no signature": (f"{HEAD}.{BODY}.", "signature .* canonical"),
    "alg none and no signature": (f"{b64(as_bytes({'alg': 'none'}))}.{BODY}.", "signature .* canonical"),
    "padding after the token": (f"{GOOD}=", "signature .* canonical"),
    "padding after the header": (f"{HEAD}=.{BODY}.{MARK}", "header .* canonical"),
    "loose last bits": (f"{GOOD[:-1]}{chr(ord(GOOD[-1]) + 1)}", "signature .* canonical"),
    "the other base64 alphabet": (f"{HEAD}.////.{b64(signature(f'{HEAD}.////'))}", "payload .* canonical"),
    "a line end after the token": (f"{GOOD}\n", "signature .* canonical"),
    "a space before the token": (f" {GOOD}", "header .* canonical"),
    "a space in the token": (f"{HEAD}. {BODY}.{MARK}", "no configured key"),
    "a quotation mark": (f'"{GOOD}"', "header .* canonical"),
    "the scheme before the token": (f"Bearer {GOOD}", "header"),
    "a null character": (f"{GOOD}\x00", "signature .* canonical"),
    "a letter that is not ASCII": (f"{GOOD}é", "no token has"),
    "a lone surrogate": (f"{GOOD}\ud800", "no token has"),
    "full-width dots": (GOOD.replace(".", "．"), "no token has"),
    "one character of base64": ("A.A.A", "header"),
    "JSON serialization": (json.dumps({"protected": HEAD, "payload": BODY, "signature": MARK}), "three segments"),
    "a character too many": (f"{HEAD}.{'A' * TOKEN_BYTES}.{MARK}", "longer than 8192"),
    "a megabyte": (f"{HEAD}.{'A' * 1_000_000}.{MARK}", "longer than 8192"),
    "a megabyte of dots": ("." * 1_000_000, "longer than 8192"),
    "8 KiB of dots": ("." * TOKEN_BYTES, "three segments"),
}
BAD_HEADERS: dict[str, tuple[object, str]] = {
    "no alg": ({"typ": "JWT"}, "missing required field `alg`"),
    "alg null": ({"alg": None}, "Expected `str`"),
    "alg a number": ({"alg": 256}, "Expected `str`"),
    "alg a list": ({"alg": ["none", "HS256"]}, "Expected `str`"),
    "kid a number": ({**HEADER, "kid": 7}, "Expected `str"),
    "kid an object": ({**HEADER, "kid": {"$ne": 1}}, "Expected `str"),
    "crit unknown": ({**HEADER, "crit": ["exp"], "exp": 1}, "extension"),
    "crit empty": ({**HEADER, "crit": []}, "extension"),
    "crit null": ({**HEADER, "crit": None}, "extension"),
    "crit b64": ({**HEADER, "crit": ["b64"], "b64": True}, "extension"),
    "b64 false": ({**HEADER, "b64": False}, "extension"),
    "b64 false and critical": ({**HEADER, "b64": False, "crit": ["b64"]}, "extension"),
    "typ of an access token": ({**HEADER, "typ": "at+jwt"}, "another type"),
    "typ a number": ({**HEADER, "typ": 1}, "Expected `str"),
    "an array": ([HEADER], "Expected `object`"),
    "null": (None, "Expected `object`"),
    "a string": ("HS256", "Expected `object`"),
    "not JSON": (b"alg=HS256", "not proper JSON"),
    "JSON and more": (b'{"alg":"HS256"}{}', "not proper JSON"),
    "single quotes": (b"{'alg':'HS256'}", "not proper JSON"),
    "not UTF-8": (b'{"alg":"HS256","x":"\xff"}', "not proper JSON"),
    "UTF-16": ('{"alg":"HS256"}'.encode("utf-16"), "not proper JSON"),
    "a byte order mark": (b'\xef\xbb\xbf{"alg":"HS256"}', "not proper JSON"),
    "NaN": (b'{"alg":"HS256","x":NaN}', "not proper JSON"),
    "deep": (b'{"alg":"HS256","x":' + b"[" * 2900 + b"]" * 2900 + b"}", "not proper JSON"),
}


@pytest.mark.parametrize("token", WRONGLY_SIGNED.values(), ids=WRONGLY_SIGNED.keys())
def test_a_token_that_no_key_has_signed_is_refused(token: str) -> None:
    keys = load_keys([SECRET], [public_pem(private_key(name)) for name in ("EdDSA", "ES256")])
    with pytest.raises(TokenError, match="no configured key"):
        verify_signature(token, keys)


@pytest.mark.parametrize(("token", "reason"), BADLY_SPELLED.values(), ids=BADLY_SPELLED.keys())
def test_a_token_in_another_spelling_is_refused(token: str, reason: str) -> None:
    with pytest.raises(TokenError, match=reason):
        verify_signature(token, SHARED)


@pytest.mark.parametrize(("header", "reason"), BAD_HEADERS.values(), ids=BAD_HEADERS.keys())
def test_a_header_that_asks_for_more_or_says_less_is_refused(header: object, reason: str) -> None:
    with pytest.raises(TokenError, match=reason):
        verify_signature(forge(header), SHARED)


def test_without_keys_no_token_is_good() -> None:
    with pytest.raises(TokenError, match="no configured key"):
        verify_signature(GOOD, [])


def test_a_token_of_the_longest_length_is_read() -> None:
    room = TOKEN_BYTES - len(HEAD) - len(MARK) - 2
    token = forge(payload=b"x" * (room * 3 // 4))
    assert len(token) == TOKEN_BYTES
    assert len(verify_signature(token, SHARED)) == room * 3 // 4
