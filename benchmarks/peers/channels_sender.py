"""Sends to the group through Django Channels' own layer, from a process of its own, with many sends under way."""

# mypy: disable-error-code="import-not-found, import-untyped"

from __future__ import annotations

import asyncio

import uvloop

from benchmarks.peers.channels_settings import configure
from benchmarks.peers.sending import GROUP, NOBODY, Clock, order, text

configure()

from channels.layers import get_channel_layer  # noqa: E402 - needs the settings


async def send() -> None:
    """Send what was ordered."""
    count, at_once = order()
    layer = get_channel_layer()

    async def send_to(group: str, texts: int) -> None:
        numbers = iter(range(1, texts + 1))

        async def sender() -> None:
            for number in numbers:
                await layer.group_send(group, {"type": "say", "text": text(number)})

        await asyncio.gather(*(sender() for _ in range(at_once)))

    await send_to(NOBODY, 2 * at_once)
    clock = Clock()
    await send_to(GROUP, count)
    clock.report()


uvloop.run(send())
