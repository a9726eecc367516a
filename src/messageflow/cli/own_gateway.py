"""Lets flows of this process find the gateway that is to run in it: at once fail until it serves, then call it.

Owns nothing but the process's environment and the entry of `publisher.inprocess`.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from messageflow.gateway.server import Gateway
    from messageflow.gateway.settings import Settings


def equip(settings: Settings) -> None:
    """Let `Flow()` in the application, and in processes it starts, find the keys and limits of this gateway."""
    os.environ.setdefault("MESSAGEFLOW_API_KEY", settings.api_key)
    os.environ.setdefault("MESSAGEFLOW_BASE_PATH", settings.base_path)
    os.environ.setdefault("MESSAGEFLOW_TOKEN_LIFETIME_LIMIT", f"{settings.tokens.token_lifetime_limit:f}")
    if settings.tokens.token_secret:
        os.environ.setdefault("MESSAGEFLOW_TOKEN_SECRET", settings.tokens.token_secret[0])


def install(gateway: Gateway, url: str, api_key: str) -> None:
    """Let them call the gateway, which takes calls from now on, and waits at its end for what they send later.

    Args:
        gateway: of this process.
        url: where it listens.
        api_key: of it.
    """
    from messageflow.publisher import inprocess, later_sender

    async def finish(seconds: float) -> None:
        await asyncio.to_thread(later_sender.flush_all, min(seconds, later_sender.EXIT_SECONDS))

    gateway.finish_application = finish
    inprocess.install(gateway.api.call_from_inside, gateway.loop, url, api_key)
    os.environ.setdefault("MESSAGEFLOW_URL", url)
