"""A producer that publishes large things, to fill what lies before somebody who does not read.

It goes straight to a gateway, and what it publishes is recorded and judged as any producer's. Bounded: it fills what
has an end, and does not find out whether something has one.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from websockets.exceptions import ConnectionClosed

from tests.faults.clients import FAILURES, until
from tests.faults.gateway import Gateway
from tests.faults.pages import answers, page, read_on
from tests.faults.publishers import Job, Publisher

LARGE = 60_000
"""Bytes of one publication, near the most a gateway takes."""

MOST = 40
"""Publications for everybody of one flood: no more, for their stream has to reach back to whoever was away."""

MOST_IN_CHANNEL = 400
"""The same in `CHANNEL`: 24 MB, three times what waits for a worker at most."""

CHANNEL = "flood:all"
"""Where more may be published: no reader of the run is there, and it keeps next to nothing."""

NAMESPACE = """
[[channel.namespaces]]
name = "flood"
allow_subscribe_for_client = true
history_size = 10
"""

HEARERS = 8
"""Pages that come to hear: so many that most of the workers have one."""

PAUSE = 0.005
"""Seconds between two publications, in which everybody else goes on."""

HEAR_SECONDS = 15.0
"""Seconds within which all of them have come."""

AGAIN = 0.2
"""Seconds after which a page comes again that could not."""

CALL_SECONDS = 2.0


class Floods:
    """The floods of a run.

    Args:
        gateways: to one of them each goes, by chance.
        directory: where they write their histories.
    """

    def __init__(self, gateways: Sequence[Gateway], directory: Path) -> None:
        self._gateways = gateways
        self._directory = directory
        self._begun = 0

    @asynccontextmanager
    async def for_everybody(self, chance: random.Random) -> AsyncIterator[None]:
        """Publish for everybody while this lasts, but no more than `MOST`."""
        async with self._publishing(chance.choice(self._gateways), "*", MOST, chance):
            yield

    @asynccontextmanager
    async def into_channel(
        self, gateway: Gateway, chance: random.Random, flowing: threading.Event | None = None
    ) -> AsyncIterator[dict[int, int]]:
        """Publish in a channel that pages are in, while this lasts, and only while it is `flowing`.

        Yields the ports of the pages, by their numbers.
        """
        ports: dict[int, int] = {}
        hearers = [asyncio.create_task(_hear(gateway.port, number, ports)) for number in range(HEARERS)]
        try:
            await until(lambda: int(len(ports) == HEARERS), HEAR_SECONDS)
            async with self._publishing(gateway, CHANNEL, MOST_IN_CHANNEL, chance, flowing):
                yield ports
        finally:
            for hearer in hearers:
                hearer.cancel()
            await asyncio.gather(*hearers, return_exceptions=True)

    @asynccontextmanager
    async def _publishing(
        self,
        gateway: Gateway,
        channel: str,
        most: int,
        chance: random.Random,
        flowing: threading.Event | None = None,
    ) -> AsyncIterator[None]:
        self._begun += 1
        name = f"flood-{self._begun}"
        publisher = Publisher(
            Job(
                name=name,
                url=gateway.url,
                history=str(self._directory / f"{name}.jsonl"),
                seed=chance.getrandbits(32),
                rate=0,
                users=[],
                channels=[],
                timeout=CALL_SECONDS,
                awaiting=False,
            )
        )
        stop = threading.Event()

        def publish() -> None:
            for _ in range(most):
                while not stop.wait(PAUSE) and flowing is not None and not flowing.is_set():
                    pass
                if stop.is_set():
                    return
                publisher.publish_large(channel, LARGE)

        publishing = asyncio.create_task(asyncio.to_thread(publish))
        try:
            yield
        finally:
            stop.set()
            await publishing
            publisher.close()


async def _hear(port: int, number: int, ports: dict[int, int]) -> None:
    """Come, and come again, and read all there is; note from which port, once in the channel."""
    while True:
        try:
            async with page(port, f"hearer-{number}", [CHANNEL]) as connection:
                await answers(connection, 2, [])
                ports[number] = connection.local_address[1]
                await read_on(connection)
        except (*FAILURES, ConnectionClosed):
            await asyncio.sleep(AGAIN)
