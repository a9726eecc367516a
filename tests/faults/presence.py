"""Whether presence names those who are there at the end of a run, and nobody else. Only asks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from messageflow import Flow
from messageflow.errors import PublishError
from tests.faults.clients import Client
from tests.faults.history import EVERYONE
from tests.faults.visitors import LOBBY
from tests.support import API_KEY

PRESENCE_SECONDS = 40.0
"""Seconds within which presence shows who is there, and nobody else: longer than a gateway that died is believed."""


async def expect_presence(url: Callable[[], str], clients: Sequence[Client], misbehaved: Callable[[str], None]) -> None:
    """Wait until presence names those who are there, or time is over.

    Args:
        url: of a gateway, another each time it is asked for.
        clients: who are there.
        misbehaved: is told what is wrong.
    """
    over = time.monotonic() + PRESENCE_SECONDS
    try:
        while wrong := await asyncio.to_thread(_find_wrong, url(), clients):
            if time.monotonic() > over:
                misbehaved(f"has presence wrong: {'; '.join(wrong)}")
                return
            await asyncio.sleep(0.5)
    except PublishError as error:
        misbehaved(f"did not say who is present: {error}")


def _find_wrong(url: str, clients: Sequence[Client]) -> list[str]:
    """Return in which channels others are present than those who hold them."""
    wrong = []
    read = {channel for client in clients for channel in client.channels}
    with Flow(url, api_key=API_KEY) as flow:
        for channel in sorted({*read, LOBBY} - {EVERYONE}):
            there = {client.session.client for client in clients if channel in client.channels}
            present = set(flow.presence(channel))
            if there != present:
                wrong.append(f"{channel} misses {len(there - present)} and has {len(present - there)} that are gone")
    return wrong
