"""Receives from Django Channels' own layer, as the consumers of one process do, and says what came."""

# mypy: disable-error-code="import-not-found, import-untyped"

from __future__ import annotations

import asyncio
import json
import sys
import time

import uvloop

from benchmarks.peers.channels_settings import configure
from benchmarks.peers.sending import GROUP, order

configure()

from channels.layers import get_channel_layer  # noqa: E402 - needs the settings

QUIET_SECONDS = 5.0


async def receive() -> None:
    """Receive what is sent to the group, in as many channels as the command line says, until all or nothing comes."""
    texts, channels = order()
    layer = get_channel_layer()
    received, first, last = 0, 0.0, 0.0

    async def consume(channel: str) -> None:
        nonlocal received, first, last
        for _ in range(texts):
            await layer.receive(channel)
            received, last = received + 1, time.time()
            first = first or last

    names = [await layer.new_channel() for _ in range(channels)]
    for name in names:
        await layer.group_add(GROUP, name)
    consumers = asyncio.gather(*(consume(name) for name in names))
    await asyncio.sleep(0.5)  # for the first receive of all
    used = time.process_time()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while not consumers.done() and (not last or time.time() < last + QUIET_SECONDS):
        await asyncio.wait([consumers], timeout=0.1)
    if consumers.done():
        consumers.result()
    told = {"received": received, "first": first, "last": last, "cpu_seconds": time.process_time() - used}
    sys.stdout.write(json.dumps(told) + "\n")
    consumers.cancel()


uvloop.run(receive())
