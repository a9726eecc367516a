"""The keys that tokens are checked with: each is bound to one algorithm when it is loaded, never by a token.

A token's header says which algorithm signed it. Code that lets that word choose how a key is used can be talked into
taking a public RSA key for an HMAC secret. Here a key knows its algorithm, and a header that names another one finds
no key at all.

Shared secrets need no library, so that the publisher can read the tokens it makes. PyJWT and with it the whole of
cryptography, a quarter of what the start of a gateway takes, are loaded with the first public key.

Pure: keys come as text; this module reads no file, fetches no URL and never signs.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Literal, TypeAlias

from messageflow.core.credentials import SECRET_BYTES
from messageflow.errors import ConfigurationError
from messageflow.extras import missing

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from jwt.algorithms import Algorithm

AlgorithmName = Literal[
    "HS256", "HS384", "HS512", "EdDSA", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512"
]  # fmt: skip
Material: TypeAlias = "bytes | RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey"

RSA_BITS = 2048

_HASHES = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
_PLAIN_SECRET = re.compile(r"(?!ssh-|ecdsa-)[\w.~+/=-]+", re.ASCII)  # no PEM, JWK or DER is without other characters
_CURVES: dict[str, AlgorithmName] = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


@dataclass(frozen=True, slots=True)
class Key:
    """One key and the one algorithm it is used with.

    Args:
        algorithm: the `alg` a token must name to be checked with this key.
        material: the secret as bytes, or the public key.
        kid: the name of the key; a token that names another key in its `kid` is not checked with this one.
    """

    algorithm: AlgorithmName
    material: Material = field(repr=False)
    kid: str | None = None

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Tell whether `signature` is this key's over `message`; HMACs are compared in constant time."""
        if isinstance(self.material, bytes):
            return hmac.compare_digest(hmac.digest(self.material, message, _HASHES[self.algorithm]), signature)
        return _load_algorithms()[self.algorithm].verify(message, self.material, signature)


def load_keys(secrets: Sequence[str] = (), public_keys_pem: Sequence[str] = ()) -> tuple[Key, ...]:
    """Turn configured secrets and public keys into keys. More than one of a kind is a rotation: each is good.

    Args:
        secrets: shared secrets of at least 32 bytes, used with HS256.
        public_keys_pem: public keys in PEM form; the kind of key says the algorithm: Ed25519 is EdDSA, RSA is RS256,
            the curves P-256, P-384 and P-521 are ES256, ES384 and ES512.

    Raises:
        ConfigurationError: a secret is too short, or a key is private, too weak or of another kind. The message
            says which by its place in the list, never by its text.
    """
    shared = [_load_secret(text, f"token secret number {n}") for n, text in enumerate(secrets, 1)]
    public = [_load_public(pem, f"token public key number {n}") for n, pem in enumerate(public_keys_pem, 1)]
    return (*shared, *public)


@cache
def _load_algorithms() -> dict[str, Algorithm]:
    from jwt.algorithms import get_default_algorithms

    return get_default_algorithms()


def _load_secret(text: str, name: str) -> Key:
    try:
        material = text.encode()
    except UnicodeError:
        raise ConfigurationError(f"{name} is not UTF-8: write it in letters and digits") from None
    if len(material) < SECRET_BYTES:
        raise ConfigurationError(f"{name} has {len(material)} bytes and needs at least {SECRET_BYTES}: make a new one")
    if not _PLAIN_SECRET.fullmatch(text):
        _refuse_public(material, name)
    return Key("HS256", material)


def _refuse_public(material: bytes, name: str) -> None:
    """Refuse as a secret what is a public key, a certificate or a JWK."""
    from jwt.exceptions import InvalidKeyError

    try:
        _load_algorithms()["HS256"].prepare_key(material)
    except InvalidKeyError:
        raise ConfigurationError(f"{name} is a key or a certificate: configure it as a public key") from None


def _load_public(pem: str, name: str) -> Key:
    if "PRIVATE KEY" in pem:
        raise ConfigurationError(f"{name} is a private key: keep it where tokens are made, and give the public one")
    loaded = _parse_pem(pem, name)
    if loaded is None:
        raise ConfigurationError(f"{name} is of a kind not used here: use Ed25519, RSA, P-256, P-384 or P-521")
    return Key(*loaded)


def _parse_pem(pem: str, name: str) -> tuple[AlgorithmName, Material] | None:
    """The algorithm of a public key, and the key; None for a kind that is not used here."""
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError as error:
        raise ConfigurationError(missing(error, name) or f"{name} cannot be used: {error}") from error
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigurationError(f"{name} is not a public key in PEM form (-----BEGIN PUBLIC KEY-----)") from None
    if isinstance(key, RSAPublicKey) and key.key_size < RSA_BITS:
        raise ConfigurationError(f"{name} is an RSA key of {key.key_size} bits: use at least {RSA_BITS}")
    if isinstance(key, Ed25519PublicKey):
        return "EdDSA", key
    if isinstance(key, RSAPublicKey):
        return "RS256", key
    if isinstance(key, EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name], key
    return None
