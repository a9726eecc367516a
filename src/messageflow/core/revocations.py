"""Whose tokens were revoked, and as of when.

A revocation says of one user: what was made before this date is refused. The later of two holds, so they may come in
any order and any number of times. None is needed for longer than a token can live; then it is forgotten.

Pure: `now` is an argument. Dates are seconds since 1970, as in the claim `iat`.
"""

from __future__ import annotations

import math

import msgspec

UNDATED = 0.0  # when a token without `iat` counts as made
MOST = 100_000  # users; about 13 MB of a worker's memory
UNLIMITED = 30 * 86_400.0  # seconds a revocation stands where the lifetime of tokens has no limit
MARGIN = 60.0  # seconds by which clocks may differ, twice over: a revocation may be dated ahead, and read behind


class Revocation(msgspec.Struct, frozen=True):
    """What was made for `user` before `before` is refused. This is how it is stored."""

    user: str
    before: float


class Revocations:
    """The revocations that stand, the newest for each user.

    Args:
        kept_for: seconds one stands after its date, see `kept_for`.
        most: users; beyond it those revoked the longest ago are forgotten before their time.

    Attributes:
        forgotten: how many were.
    """

    def __init__(self, kept_for: float, most: int = MOST) -> None:
        self._kept_for = kept_for
        self._most = most
        self._before: dict[str, float] = {}  # in the order they came, which is about that of their dates
        self.forgotten = 0

    def __len__(self) -> int:
        return len(self._before)

    def add(self, revocation: Revocation, now: float) -> bool:
        """Take a revocation in. Returns whether it refuses what was not refused until now."""
        user, before = revocation.user, revocation.before
        self._forget_old(now)
        if before + self._kept_for <= now or self._before.get(user, -math.inf) >= before:
            return False
        self._before.pop(user, None)
        self._before[user] = before
        if len(self._before) > self._most:
            del self._before[next(iter(self._before))]
            self.forgotten += 1
        return True

    def refuses(self, user: str, issued_at: float, now: float) -> bool:
        """Whether what was made for `user` at `issued_at` is revoked."""
        before = self._before.get(user)
        return before is not None and issued_at < before and now < before + self._kept_for

    def _forget_old(self, now: float) -> None:
        while self._before:
            user, before = next(iter(self._before.items()))
            if before + self._kept_for > now:
                return
            del self._before[user]


def kept_for(lifetime_limit: float) -> float:
    """Return for how many seconds a revocation has to stand where tokens live for `lifetime_limit` at most."""
    return (UNLIMITED if lifetime_limit == math.inf else lifetime_limit) + MARGIN


encode_revocation = msgspec.json.Encoder().encode
decode_revocation = msgspec.json.Decoder(Revocation).decode
