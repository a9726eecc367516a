"""Whose tokens were revoked, and as of when.

A revocation says of one user: what was made before this date is refused, be it every token, one of them, or what they
say of some channels. The later of two holds, so they may come in any order and any number of times. None is needed for
longer than a token can live; then it is forgotten.

Pure: `now` is an argument. Dates are seconds since 1970, as in the claim `iat`.
"""

from __future__ import annotations

import math

import msgspec

from messageflow.core.channel_patterns import matches
from messageflow.core.channels import owned_by_server

UNDATED = 0.0  # when a token without `iat` counts as made
MOST = 100_000  # about 20 MB of a worker's memory
UNLIMITED = 30 * 86_400.0  # seconds a revocation stands where the lifetime of tokens has no limit
MARGIN = 60.0  # seconds by which clocks may differ, twice over: a revocation may be dated ahead, and read behind

_Key = tuple[str, str, str]  # user, token, pattern of channels


class Revocation(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was made for `user` before `before` is refused. This is how it is stored.

    A worker of a version that does not know `token` and `channels` takes it for a revocation of every token: it refuses
    more than was meant, never less.

    Args:
        user: whose tokens.
        before: until when they were made.
        token: the `jti` of the one token that is refused, whenever it was made.
        channels: a pattern of the channels in which they give no right any more; all else they say stands.
    """

    user: str
    before: float
    token: str = ""
    channels: str = ""


class Revocations:
    """The revocations that stand, the newest of each kind for each user.

    Args:
        kept_for: seconds one stands after its date, see `kept_for`.
        most: how many; beyond it those of the longest ago are forgotten before their time.

    Attributes:
        about_channels: the patterns of those about channels, by user; never another object.
        forgotten: how many were.
    """

    def __init__(self, kept_for: float, most: int = MOST) -> None:
        self._kept_for = kept_for
        self._most = most
        self._before: dict[_Key, float] = {}  # in the order they came, which is about that of their dates
        self.about_channels: dict[str, set[str]] = {}  # their patterns, by user, of those about channels
        self.forgotten = 0

    def __len__(self) -> int:
        return len(self._before)

    def add(self, revocation: Revocation, now: float) -> bool:
        """Take a revocation in. Returns whether it refuses what was not refused until now."""
        key, before = (revocation.user, revocation.token, revocation.channels), revocation.before
        self._forget_old(now)
        if before + self._kept_for <= now or self._before.get(key, -math.inf) >= before:
            return False
        self._before.pop(key, None)
        self._before[key] = before
        if revocation.channels:
            self.about_channels.setdefault(revocation.user, set()).add(revocation.channels)
        if len(self._before) > self._most:
            self._forget(next(iter(self._before)))
            self.forgotten += 1
        return True

    def refuses(self, user: str, issued_at: float, now: float, token: str = "") -> bool:
        """Whether what was made for `user` at `issued_at`, or the token of that `jti`, is revoked."""
        if self._stands((user, "", ""), issued_at, now):
            return True
        return bool(token) and self._stands((user, token, ""), -math.inf, now)

    def withdraws(self, user: str, issued_at: float, channel: str, now: float) -> bool:
        """Whether what a token of `user` that was made at `issued_at` says of a channel is revoked."""
        patterns = self.about_channels.get(user)
        if patterns is None or owned_by_server(channel):
            return False
        return any(
            matches(pattern, channel) and self._stands((user, "", pattern), issued_at, now) for pattern in patterns
        )

    def _stands(self, key: _Key, issued_at: float, now: float) -> bool:
        before = self._before.get(key)
        return before is not None and issued_at < before and now < before + self._kept_for

    def _forget_old(self, now: float) -> None:
        while self._before:
            key, before = next(iter(self._before.items()))
            if before + self._kept_for > now:
                return
            self._forget(key)

    def _forget(self, key: _Key) -> None:
        del self._before[key]
        user, _, pattern = key
        if pattern:
            patterns = self.about_channels[user]
            patterns.discard(pattern)
            if not patterns:
                del self.about_channels[user]


def kept_for(lifetime_limit: float) -> float:
    """Return for how many seconds a revocation has to stand where tokens live for `lifetime_limit` at most."""
    return (UNLIMITED if lifetime_limit == math.inf else lifetime_limit) + MARGIN


encode_revocation = msgspec.json.Encoder().encode
decode_revocation = msgspec.json.Decoder(Revocation).decode
