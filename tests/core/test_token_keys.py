"""Keys: which are taken, with which algorithm, and what is said about the others."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from messageflow.core.token_keys import AlgorithmName, Key, load_keys
from messageflow.errors import ConfigurationError
from tests.core.token_forge import SECRET, private_key, private_pem, public_pem

ALGORITHMS = ["EdDSA", "RS256", "ES256", "ES384", "ES512"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_kind_of_a_public_key_says_its_algorithm(algorithm: str) -> None:
    (key,) = load_keys(public_keys_pem=[public_pem(private_key(algorithm))])
    assert (key.algorithm, key.kid) == (algorithm, None)


def test_a_secret_is_used_with_hs256() -> None:
    assert load_keys([SECRET]) == (Key("HS256", SECRET.encode()),)


def test_keys_stand_in_the_order_of_the_settings() -> None:
    keys = load_keys(["1" * 32, "2" * 32], [public_pem(private_key("EdDSA"))])
    assert [key.algorithm for key in keys] == ["HS256", "HS256", "EdDSA"]
    assert [key.material for key in keys[:2]] == [b"1" * 32, b"2" * 32]


def test_a_secret_of_32_bytes_is_long_enough_and_one_of_31_is_not() -> None:
    assert load_keys(["é" * 16])
    with pytest.raises(ConfigurationError, match="number 2 has 31 bytes"):
        load_keys([SECRET, "x" * 31])


def test_a_secret_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="number 1 is not UTF-8"):
        load_keys(["\udcff" * 32])


@pytest.mark.parametrize(
    "text",
    [
        public_pem(private_key("RS256")),
        private_key("EdDSA").public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode(),
        "ssh-ed25519" + "A" * 60,
        "ecdsa-sha2-nistp256" + "A" * 60,
        '{"kty":"oct","k":"' + "A" * 60 + '"}',
    ],
    ids=["PEM", "OpenSSH", "ssh alone", "ecdsa alone", "JWK"],
)
def test_a_public_key_is_not_taken_for_a_secret(text: str) -> None:
    with pytest.raises(ConfigurationError, match="configure it as a public key"):
        load_keys([text])


@pytest.mark.parametrize("text", ["Zm9v" * 11 + "_-.~+/=", "correct horse battery staple, and once more"])
def test_any_other_text_is_a_secret_whose_tokens_are_taken(text: str) -> None:
    (key,) = load_keys([text])
    assert key.verify(b"said", hmac.digest(text.encode(), b"said", "sha256"))
    assert not key.verify(b"said", hmac.digest(text.encode(), b"otherwise", "sha256"))
    assert not key.verify(b"said", b"")


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_secret_checks_what_pyjwt_signs(algorithm: AlgorithmName) -> None:
    head, body, mark = jwt.encode({"sub": "alice"}, SECRET * 2, algorithm).split(".")
    signature = urlsafe_b64decode(mark + "==")
    assert Key(algorithm, SECRET.encode() * 2).verify(f"{head}.{body}".encode(), signature)


def test_a_private_key_is_refused_and_not_repeated() -> None:
    pem = private_pem(private_key("EdDSA"))
    with pytest.raises(ConfigurationError, match="is a private key") as refused:
        load_keys(public_keys_pem=[pem])
    assert pem.splitlines()[1] not in str(refused.value)


@pytest.mark.parametrize("pem", ["", "key.pem", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "\udcff"])
def test_what_is_no_public_key_is_refused(pem: str) -> None:
    with pytest.raises(ConfigurationError, match="number 1 is not a public key in PEM form"):
        load_keys(public_keys_pem=[pem])


def test_a_weak_rsa_key_is_refused() -> None:
    weak = rsa.generate_private_key(65537, 1024)
    with pytest.raises(ConfigurationError, match="1024 bits"):
        load_keys(public_keys_pem=[public_pem(weak)])


@pytest.mark.parametrize(
    "key",
    [
        ed448.Ed448PrivateKey.generate(),
        x25519.X25519PrivateKey.generate(),
        ec.generate_private_key(ec.SECP256K1()),
    ],
    ids=["Ed448", "X25519", "secp256k1"],
)
def test_another_kind_of_key_is_refused(
    key: ed448.Ed448PrivateKey | x25519.X25519PrivateKey | ec.EllipticCurvePrivateKey,
) -> None:
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with pytest.raises(ConfigurationError, match="is of a kind not used here"):
        load_keys(public_keys_pem=[pem])


def test_a_key_does_not_show_its_secret() -> None:
    assert SECRET not in repr(load_keys([SECRET]))
