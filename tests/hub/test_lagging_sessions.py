"""The state of slow readers, against a model: who is live, who lags and where, in every channel at every moment."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from messageflow.core.stream import Item, Retention
from messageflow.hub import fan_out
from messageflow.testing.memory_connection import MemoryConnection
from tests.hub.carriers import CARRIERS
from tests.hub.conftest import World
from tests.hub.links import DistantBroker

CHANNELS = ("open:x", "open:y")
SESSIONS = 3


class LagStates(RuleBasedStateMachine):
    """Sessions stall, read on, leave and come back to channels, while publications are flushed in slices of one."""

    carrier = "native"
    budget = 1000  # bytes of the backlogs: now they have what is missing, now the history has

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.stalls = 0
        self.paused = [False] * SESSIONS
        self.published = dict.fromkeys(CHANNELS, 0)
        self.asked: dict[int, str] = {}  # the channel, by command
        self.run(self._start())

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    async def _start(self) -> None:
        self.world = World(broker=DistantBroker(turns=2))
        self.world.carrier = CARRIERS[self.carrier]
        await self.world.hub.start()
        self.world.hub.backlogs.budget = self.budget
        self.connections = [await self.world.connected(f"user{number}") for number in range(SESSIONS)]

    @rule(channel=st.sampled_from(CHANNELS), count=st.integers(1, 4))
    def publish(self, channel: str, count: int) -> None:
        self.published[channel] += count
        self.run(self.world.broker.publish([Item(channel, b"1", Retention(1000, 600))] * count))

    @rule(which=st.integers(0, SESSIONS - 1))
    def stall(self, which: int) -> None:
        self.stalls += not self.paused[which]
        self.paused[which] = True
        self.run(self._call(self.connections[which].fill))

    @rule(which=st.integers(0, SESSIONS - 1))
    def read_on(self, which: int) -> None:
        self.paused[which] = False
        self.run(self._call(self.connections[which].empty))

    @rule(which=st.integers(0, SESSIONS - 1), channel=st.sampled_from(CHANNELS))
    def come_or_go(self, which: int, channel: str) -> None:
        """Subscribe or unsubscribe; the command of a session that is paused would wait."""
        if self.paused[which]:
            return
        connection, command = self.connections[which], len(self.asked) + 2
        self.asked[command] = channel
        method = "unsubscribe" if self._session(connection).is_in(channel) else "subscribe"
        self.run(self._call(connection.send, {"id": command, method: {"channel": channel}}))
        self.turn(20)

    async def _call(self, function: Any, *arguments: Any) -> None:
        function(*arguments)

    @rule(turns=st.sampled_from((1, 2, 5, 20)))
    def turn(self, turns: int) -> None:
        async def turn() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)

        self.run(turn())

    def _session(self, connection: MemoryConnection) -> Any:
        assert connection.session is not None
        assert connection.closed is None
        return connection.session

    @invariant()
    def a_session_is_live_or_lags_and_never_both(self) -> None:
        for connection, paused in zip(self.connections, self.paused, strict=True):
            session = self._session(connection)
            assert (session.paused, connection.reading) == (paused, True)
            for subscription in session.subscriptions:
                channel = subscription.channel
                live, lags = session in channel.live, session in (channel.lagging or ())
                assert not (live and lags)
                assert not (paused and live)
                assert (subscription.behind is None) or not live
                assert live or session not in (channel.unserved or ())

    @invariant()
    def who_lags_stands_at_what_was_written_to_it_last(self) -> None:
        for connection in self.connections:
            for subscription in self._session(connection).subscriptions:
                name = subscription.channel.name
                if subscription.behind is not None and name in CHANNELS:
                    began, seen = self._seen(connection, name)
                    assert subscription.behind.offset == began + len(seen)

    def _seen(self, connection: MemoryConnection, channel: str) -> tuple[int, list[int]]:
        """Return where a connection came to a channel the last time, and the offsets it saw since, all of them."""
        began, seen = 0, list[int]()
        for message in connection.written:
            push = message.get("push", {})
            if "subscribe" in message and self.asked[message["id"]] == channel:
                began, seen = message["subscribe"].get("offset", 0), []
            elif push.get("channel") == channel and "pub" in push:
                seen.append(push["pub"]["offset"])
        assert seen == list(range(began + 1, began + 1 + len(seen)))
        return began, seen

    def teardown(self) -> None:
        """Let everybody read: all are live again, and every stall was counted and made good."""
        for which in range(SESSIONS):
            self.read_on(which)
        self.run(self.world.settle())
        for connection in self.connections:
            for subscription in self._session(connection).subscriptions:
                assert connection.session in subscription.channel.live
                assert not subscription.channel.lagging
        counters = self.world.hub.counters
        assert counters.fell_behind == self.stalls
        assert counters.caught_up <= self.stalls
        for connection in self.connections:
            for name in {each.channel.name for each in self._session(connection).subscriptions} & set(CHANNELS):
                began, seen = self._seen(connection, name)
                assert began + len(seen) == self.published[name]
        self.run(self.world.hub.close())
        self.loop.close()


@pytest.fixture(autouse=True)
def slices_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a batch be under way for longer than a rule takes, so that rules fall in between."""
    monkeypatch.setattr(fan_out, "TURN_WRITES", 1)


class FromHistory(LagStates):
    """The same where nothing is kept in the backlogs."""

    budget = 0


class InAnotherDialect(LagStates):
    """The same in a dialect of which the hub knows nothing."""

    carrier = "toy dialect"


class OverAnotherTransport(LagStates):
    """The same over a transport that takes a frame a write."""

    carrier = "one-way toy"


TestLagStates = LagStates.TestCase
TestLagStates.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestFromHistory = FromHistory.TestCase
TestFromHistory.settings = TestLagStates.settings
TestInAnotherDialect = InAnotherDialect.TestCase
TestOverAnotherTransport = OverAnotherTransport.TestCase
TestInAnotherDialect.settings = TestOverAnotherTransport.settings = settings(TestLagStates.settings, max_examples=30)


# What the merge and the catch-up are to give, and what they would do without


async def test_what_arrives_while_the_history_is_read_travels_with_the_answer() -> None:
    broker = DistantBroker()
    world = World(broker=broker)
    await world.hub.start()
    await world.subscribed("here", "open:x")
    coming = await world.connected("coming")
    first = (await world.publish("open:x", 1, 2))[0].position
    broker.gate.clear()
    request = {"channel": "open:x", "recover": True, "epoch": first.epoch, "offset": 1, "tag": first.tag}
    coming.send({"id": 2, "subscribe": request})
    await world.settle()
    await world.publish("open:x", 3)  # too late for the read that is under way, and delivered before it ends
    broker.gate.set()
    await world.settle()
    answered = coming.replies(2)[0]["subscribe"]
    assert answered["recovered"]
    assert [p["offset"] for p in answered["publications"]] == [2, 3]
    assert (len(broker.reads), len(coming.publications("open:x"))) == (1, 2)
    await world.hub.close()


async def test_catching_up_ends_where_the_others_are_and_not_beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = DistantBroker()
    world = World(broker=broker)
    await world.hub.start()
    world.hub.backlogs.budget = 0  # from the history alone
    slow = await world.subscribed("slow", "open:x")
    slow.fill()
    await world.publish("open:x", 1, 2)
    monkeypatch.setattr(fan_out, "GATHER_TURNS", 40)
    monkeypatch.setattr(fan_out, "CHEAP", -1.0)
    await broker.publish([Item("open:x", b"3", Retention(1000, 600))])  # pending while the slow one reads
    slow.empty()
    for _ in range(20):
        await asyncio.sleep(0)
    assert [p["offset"] for p in slow.publications("open:x")] == [1, 2]
    await world.settle()
    assert [p["offset"] for p in slow.publications("open:x")] == [1, 2, 3]
    assert len(broker.reads) == 1
    await world.hub.close()
