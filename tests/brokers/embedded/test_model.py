"""The embedded broker against a model, a dict of lists: over restarts, crashes, evictions and the passing of time.

A crash is a copy of the data directory as it lies there while the broker runs, opened by another broker: what the
operating system has of a process that was killed.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from messageflow.brokers.base import Stored
from messageflow.brokers.embedded.broker import EmbeddedBroker
from messageflow.core.stream import Item, Position, Retention
from messageflow.errors import Unrecoverable
from messageflow.testing.broker_suite import RecordingSink
from messageflow.testing.clock import ManualClock

CHANNELS = st.sampled_from(["a", "b", "c"])
TTL, SIZE = 100.0, 20


class EmbeddedModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.root = Path(tempfile.mkdtemp(prefix="model-"))
        self.life = 0
        self.clock, self.wall = ManualClock(), ManualClock(1.8e9)
        self.model: dict[str, list[tuple[Stored, bytes, float]]] = {"a": [], "b": [], "c": []}
        self.removed = {"a": 0, "b": 0, "c": 0}  # offsets up to which history was removed
        self.delivered: dict[str, list[int]] = {"a": [], "b": [], "c": []}
        self.keys: dict[tuple[str, str], Stored] = {}
        self.number = 0
        self.open()

    # The broker under test

    @property
    def directory(self) -> Path:
        return self.root / str(self.life)

    def open(self) -> None:
        self.sink = RecordingSink()
        self.broker = EmbeddedBroker(self.directory, memory=20_000, clock=self.clock, wall=self.wall)
        self.loop.run_until_complete(self.broker.start(self.sink))
        for channel in self.model:
            self.loop.run_until_complete(self.broker.subscribe(channel))

    def close(self) -> None:
        for channel, publication in self.sink.publications:
            self.delivered[channel].append(publication.offset)
        self.loop.run_until_complete(self.broker.close())

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.wall.advance(seconds)

    @property
    def now(self) -> float:
        return self.clock.now

    # What happens

    @rule(channel=CHANNELS, count=st.integers(1, 8), size=st.integers(1, 1500))
    def publish(self, channel: str, count: int, size: int) -> None:
        items = []
        for _ in range(count):
            self.number += 1
            key = f"k{self.number}"
            items.append(Item(channel, b'"%d-%b"' % (self.number, b"x" * size), Retention(SIZE, TTL), key=key))
        for item, stored in zip(items, self.loop.run_until_complete(self._store(items)), strict=True):
            self.model[channel].append((stored, item.data, self.now))
            self.keys[channel, item.key] = stored

    async def _store(self, items: list[Item]) -> list[Stored]:
        if len(items) > 1:
            return await self.broker.publish(items)
        told = asyncio.get_running_loop().create_future()
        stored = self.broker.publish_now(items[0], lambda stored, error: told.set_result((stored, error)))
        if stored is None:
            stored, error = await told
            assert error is None
        return [stored]

    @rule(data=st.data())
    @precondition(lambda self: any(self.model.values()))
    def publish_again_with_the_same_key(self, data: st.DataObject) -> None:
        """What was published within the last half minute, however often the broker was started since."""
        recent = [
            (channel, f"k{payload.split(b'-')[0][1:].decode()}", stored)
            for channel, entries in self.model.items()
            for stored, payload, at in entries
            if at > self.now - 30 and stored.position.offset > self.removed[channel]
        ]
        if recent:
            channel, key, stored = data.draw(st.sampled_from(recent))
            again = self.loop.run_until_complete(
                self.broker.publish([Item(channel, b"0", Retention(SIZE, TTL), key=key)])
            )
            assert again == [stored]

    @rule(channel=CHANNELS)
    def remove_history(self, channel: str) -> None:
        self.loop.run_until_complete(self.broker.remove_history(channel))
        self.removed[channel] = len(self.model[channel])

    @rule(seconds=st.sampled_from([1.0, 20.0, 61.0, 101.0]))
    def let_time_pass(self, seconds: float) -> None:
        self.pass_time(seconds)
        self.broker._enforce_limits(self.broker._clock())

    @rule()
    def restart(self) -> None:
        self.close()
        self.open()

    @rule()
    def crash(self) -> None:
        before = self.directory
        self.life += 1
        shutil.copytree(before, self.directory)
        self.life -= 1
        self.close()
        self.life += 1
        self.open()

    # What always holds

    @invariant()
    def every_stream_stands_where_it_should(self) -> None:
        for channel, entries in self.model.items():
            position = self.loop.run_until_complete(self.broker.read_page(channel)).position
            assert position.offset == len(entries)
            if entries:
                assert position == entries[-1][0].position

    @invariant()
    def what_is_in_the_window_is_recovered_and_nothing_else(self) -> None:
        for channel, entries in self.model.items():
            first = max(len(entries) - SIZE, self.removed[channel])
            while first < len(entries) and entries[first][2] <= self.now - TTL:
                first += 1
            for since in {0, max(first - 1, 0), first, (first + len(entries)) // 2, len(entries)}:
                if since:
                    position = entries[since - 1][0].position
                else:
                    position = self.loop.run_until_complete(self.broker.read_page(channel)).position
                    position = Position(position.epoch, 0)
                try:
                    history = self.loop.run_until_complete(self.broker.read_since(channel, position))
                except Unrecoverable:
                    assert since < first
                else:
                    assert since >= first
                    assert [p.data for p in history.publications] == [data for _, data, _ in entries[since:]]

    @invariant()
    def each_is_delivered_once_in_order(self) -> None:
        for channel, entries in self.model.items():
            live = [p.offset for name, p in self.sink.publications if name == channel]
            assert self.delivered[channel] + live == list(range(1, len(entries) + 1))

    def teardown(self) -> None:
        self.close()
        self.loop.close()
        shutil.rmtree(self.root)


@pytest.mark.slow
def test_the_embedded_broker_is_its_model() -> None:
    EmbeddedModel.TestCase.settings = settings(
        max_examples=40,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    EmbeddedModel.TestCase().runTest()
