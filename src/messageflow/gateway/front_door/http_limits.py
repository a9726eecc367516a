"""What one HTTP connection may take: bytes of heads and bodies, and the time for each step; here and nowhere else."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from messageflow.core.setting_kinds import Duration, Section


class HttpLimits(Struct, frozen=True, kw_only=True):
    """The limits of the port. Bytes and seconds.

    Args:
        head_bytes: of one head, and of what may wait behind a request that is being answered.
        handshake_timeout: for a head to arrive, and for a TLS handshake before it; a setting.
        body_bytes: of one call of the API; a batch larger than this is better sent as several.
        body_timeout: for the body of a call to arrive.
        answer_timeout: for the answer of a call to be taken.
        unsent_bytes: of answers that callers do not take; beyond it what is only read has to wait.
        keep_alive: that an idle connection stays open.
        linger: in which a peer that was refused may stop sending.
        linger_bytes: that it may send meanwhile.
    """

    head_bytes: int = 65_536
    handshake_timeout: Annotated[
        Duration, Section.LIFE, Meta(ge=0.1, description="time a TLS handshake has, and a request head to arrive")
    ] = 5.0
    body_bytes: int = 16 << 20
    body_timeout: float = 10.0
    answer_timeout: float = 30.0
    unsent_bytes: int = 64 << 20
    keep_alive: float = 75.0
    linger: float = 2.0
    linger_bytes: int = 262_144
