"""Makes tokens that no library would make: any header, any payload, any signature, spelled as one likes.

Also the keys that the tests of tokens share; the RSA key is made once, for it takes a while.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

NOW = 1_800_000_000.0
SECRET = "a secret of forty bytes, for tests only.."
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

HEADER = {"alg": "HS256", "typ": "JWT"}
CONNECTION: dict[str, Any] = {"sub": "alice", "exp": NOW + 600, "iat": NOW}
SUBSCRIPTION: dict[str, Any] = {**CONNECTION, "channel": "news"}


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def as_bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def forge(
    header: object = HEADER, payload: object = CONNECTION, *, secret: str | bytes = SECRET, digest: str = "sha256"
) -> str:
    """A token with a right HMAC, whatever stands in it; bytes are taken as they are."""
    message = f"{b64(as_bytes(header))}.{b64(as_bytes(payload))}"
    return f"{message}.{b64(signature(message, secret, digest))}"


def signature(message: str, secret: str | bytes = SECRET, digest: str = "sha256") -> bytes:
    key = secret.encode() if isinstance(secret, str) else secret
    return hmac.new(key, message.encode(), getattr(hashlib, digest)).digest()


def connection(**claims: object) -> str:
    """A connection token with some claims changed; None takes a claim away."""
    return forge(payload=changed(CONNECTION, claims))


def subscription(**claims: object) -> str:
    """A subscription token with some claims changed; None takes a claim away."""
    return forge(payload=changed(SUBSCRIPTION, claims))


def changed(claims: dict[str, Any], changes: dict[str, object]) -> dict[str, Any]:
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


@cache
def private_key(algorithm: str) -> PrivateKey:
    if algorithm == "RS256":
        return rsa.generate_private_key(65537, 2048)
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    curves: dict[str, ec.EllipticCurve] = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
    return ec.generate_private_key(curves[algorithm])


def public_pem(key: PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def private_pem(key: PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def signed(algorithm: str, key: PrivateKey | str, claims: dict[str, Any] = CONNECTION, **header: Any) -> str:
    """A token as PyJWT, the library most applications use, makes it."""
    return jwt.encode(claims, key, algorithm=algorithm, headers=header)
