"""Ours: publishes in the channel by `AsyncFlow`, through a gateway or straight to Redis, with many calls under way."""

from __future__ import annotations

import asyncio
import os

import uvloop

from benchmarks.peers.sending import API_KEY, CHANNEL, FLOW_URL, Clock, order, text
from messageflow import AsyncFlow


async def send() -> None:
    """Publish what was ordered."""
    count, at_once = order()
    channel = os.environ[CHANNEL]

    async def publish_in(channel: str, texts: int) -> None:
        numbers = iter(range(1, texts + 1))

        async def publisher() -> None:
            for number in numbers:
                await flow.publish(channel, text(number))

        await asyncio.gather(*(publisher() for _ in range(at_once)))

    async with AsyncFlow(os.environ[FLOW_URL], api_key=os.environ[API_KEY]) as flow:
        await publish_in(f"{channel}-without-subscribers", 2 * at_once)
        clock = Clock()
        await publish_in(channel, count)
        clock.report()


uvloop.run(send())
