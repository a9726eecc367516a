"""A JWS, the form of signed tokens, taken apart: three canonical segments, a bare header, one good signature.

Owns the compact form of RFC 7515 and what is refused about it before anything inside is believed. Keys check the
signatures; the reader of PyJWT is not used because it takes more than one text for the same token (`token + "="`), and
a list of revoked tokens must not be passed by adding a character.

Never looks at claims, and never lets a header choose a key's algorithm, an address or an extension. Messages of the
errors go to logs: they name the fault and never repeat what the token said.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from messageflow.core.token_keys import Key
from messageflow.core.token_limits import TOKEN_BYTES
from messageflow.errors import TokenError, TokenReason

KEPT_BYTES = 256  # of a header that is kept decoded

T = TypeVar("T")

_FROM_URL, _TO_URL = bytes.maketrans(b"-_", b"+/"), bytes.maketrans(b"+/", b"-_")


class _Header(msgspec.Struct, frozen=True, gc=False):
    """What is read of a header (RFC 7515 §4.1). `jku`, `jwk`, `x5u` and `x5c` are not: keys come from settings."""

    alg: str
    kid: str | None = None
    typ: str | None = None
    crit: Raw | UnsetType = UNSET
    b64: Raw | UnsetType = UNSET


_header = msgspec.json.Decoder(_Header)


def verify_signature(token: str, keys: Sequence[Key]) -> bytes:
    """Return the payload of `token`, whose signature one of `keys` has made.

    Args:
        token: the compact form, at most 8 KiB.
        keys: the keys to try; where a key and the token both have a `kid`, only the one that is named.

    Raises:
        TokenError: the token is not in canonical form, asks for an extension, or no key has signed it.
    """
    if len(token) > TOKEN_BYTES:
        raise TokenError(f"the token is longer than {TOKEN_BYTES} characters")
    if not token.isascii():
        raise TokenError("the token holds characters that no token has")
    segments = token.encode().split(b".")
    if len(segments) != 3:
        raise TokenError("the token does not have three segments")
    head, body, mark = segments
    header = _header_of(head) if len(head) <= KEPT_BYTES else _header_of.__wrapped__(head)
    signature = _decode(mark, "signature")
    message = head + b"." + body
    for key in keys:
        if _fits(key, header) and key.verify(message, signature):
            return _decode(body, "payload")
    raise TokenError("no configured key has signed the token", _explain(keys, header))


def _explain(keys: Sequence[Key], header: _Header) -> TokenReason:
    """Say why no key has signed a token."""
    if any(_fits(key, header) for key in keys):
        return TokenReason.BAD_SIGNATURE
    known = not keys or any(key.algorithm == header.alg for key in keys)
    return TokenReason.UNKNOWN_KEY if known else TokenReason.ALGORITHM


def _fits(key: Key, header: _Header) -> bool:
    return key.algorithm == header.alg and (key.kid is None or header.kid is None or key.kid == header.kid)


@lru_cache(maxsize=64)
def _header_of(segment: bytes) -> _Header:
    """Return the header of a token, which tokens of one issuer have in common: 5 µs each (benchmarks: connect)."""
    return _read_header(_decode(segment, "header"))


def _read_header(data: bytes) -> _Header:
    header = read_json(_header, data, "header")
    if header.crit is not UNSET or header.b64 is not UNSET:
        raise TokenError("the token asks for an extension of RFC 7515 (crit, b64): none is understood")
    if header.typ is not None and header.typ.upper() != "JWT":
        raise TokenError("the token is of another type than JWT")
    return header


def _decode(segment: bytes, name: str) -> bytes:
    """Decode base64url, and refuse every spelling but the one canonical one."""
    try:
        data = a2b_base64(segment.translate(_FROM_URL) + b"==")
    except ValueError:
        raise TokenError(f"the {name} of the token is not base64url") from None
    # Spelling it again finds padding, foreign characters, white space and loose last bits, all in one comparison.
    if not segment or b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=") != segment:
        raise TokenError(f"the {name} of the token is not in canonical base64url")
    return data


def read_json(decoder: msgspec.json.Decoder[T], data: bytes, name: str) -> T:
    """Decode a part of a token, and turn every way in which that can fail into a TokenError.

    The text is decoded first: msgspec passes raw members on without looking whether they are UTF-8.
    """
    try:
        return decoder.decode(data.decode())
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:  # older versions of which are no ValueError
        reason = str(error) if isinstance(error, msgspec.ValidationError) else "it is not proper JSON"
        raise TokenError(f"the {name} of the token cannot be read: {reason}") from None
