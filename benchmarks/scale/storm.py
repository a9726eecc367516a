"""A reconnect storm, simulated event by event: clients that lost their gateways at once, and the gateways' admission.

The back-off is that of the clients, the admission the gateway's own `Admission` with its own limits, and what each step
costs comes from the cost model. Pure but for the gateway's code: time is simulated, chance is seeded, and the same seed
gives the same storm. Owns the events; never waits and never prints.

A gateway is one thread that does one thing after another, and so is a server of Redis. A client that hears nothing for
as long as it has patience goes away and tries again later; what the gateway and Redis do for it is then for nothing.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.scale.agenda import Agenda
from benchmarks.scale.clients import BROWSER, LONGEST_MS, Client
from benchmarks.scale.gateway_door import Door
from messageflow.gateway.listening import BACKLOG
from messageflow.testing.clock import ManualClock

SYN_AGAIN = 1.0  # seconds until the client's kernel knocks again where a queue was full
ARRIVE, DONE, SAY, ANSWERED = range(4)  # what happens: a handshake arrives; a gateway can do what waits; the connect
# command arrives; Redis has answered
HANDSHAKE, CONNECT = range(2)  # what a gateway does


@dataclass(frozen=True, slots=True)
class StepCosts:
    """Seconds of CPU.

    Args:
        refuse: of a gateway for one it refuses.
        handshake: of a gateway for one it lets in, until the upgrade is answered.
        connect: of a gateway for the rest: token, channels, positions, what was missed.
        redis: of Redis for one that comes back; 0 without Redis.
    """

    refuse: float
    handshake: float
    connect: float
    redis: float


@dataclass(frozen=True, slots=True)
class Storm:
    """What happens to whom.

    Args:
        clients: how many, all cut off at time 0.
        nodes: over which they are dealt out by chance, anew with each attempt.
        costs: of the steps.
        shards: servers of Redis.
        arrivals_limit: the setting, of each node; 0 is no limit.
        connections_limit: the setting, of each node; 0 is no limit.
        longest_ms: the longest pause of the back-off.
        client: what they are.
        share: of a core that a node has for this; the rest goes on delivering.
        backlog: handshakes that wait in a node's kernel; beyond it they are lost, and come again.
        round_trip: seconds between a client and its gateway.
        seed: of all chance.
        most_seconds: simulated, after which the storm is broken off.
        most_attempts: of all together for each client, after which it is broken off too.
    """

    clients: int
    nodes: int
    costs: StepCosts
    shards: int = 1
    arrivals_limit: int = 5_000
    connections_limit: int = 0
    longest_ms: int = LONGEST_MS
    client: Client = BROWSER
    share: float = 0.8
    backlog: int = BACKLOG
    round_trip: float = 0.05
    seed: int = 1
    most_seconds: float = 300.0
    most_attempts: float = 20.0


@dataclass(frozen=True, slots=True)
class StormResult:
    """What came of it.

    Attributes:
        back: how many are back.
        seconds_until: percent of clients to the second at which so many were back; none where they never were.
        attempts: of all together.
        most_attempts: of one client.
        refused: by admission, of all attempts.
        given_up: attempts that a client broke off after its patience.
        lost: handshakes that a full backlog lost.
        peak_refused: the most refused in a second.
        peak_back: the most that came back in a second.
        most_arriving: the most that were coming in at a node at once.
        most_connections: the most a node had.
        redis_share: of the time until 99 % were back, the part in which a server of Redis was busy.
        wasted: connects that Redis answered for nobody.
    """

    back: int
    seconds_until: dict[int, float]
    attempts: int
    most_attempts: int
    refused: int
    given_up: int
    lost: int
    peak_refused: int
    peak_back: int
    most_arriving: int
    most_connections: int
    redis_share: float
    wasted: int


@dataclass(slots=True)
class _Node:
    """A gateway: what waits for its one thread, when that is free, and what its admission knows."""

    door: Door
    waiting: deque[tuple[int, int, int]] = field(default_factory=deque)  # kind, client, attempt
    knocking: int = 0  # handshakes among them
    free_at: float = 0.0


class Simulation:
    """One storm.

    Args:
        storm: which.
    """

    def __init__(self, storm: Storm) -> None:
        self._storm = storm
        self._clock = ManualClock(0.0)
        self._random = random.Random(storm.seed)
        self._nodes = [
            _Node(Door(self._clock, storm.arrivals_limit, storm.connections_limit, self._random.randint))
            for _ in range(storm.nodes)
        ]
        self._redis_free = [0.0] * storm.shards  # when each has done all it was asked
        self._redis_busy = [0.0] * storm.shards
        self._agenda = Agenda()
        self._patience: deque[tuple[float, int, int]] = deque()  # client and attempt, in the order of their ends
        self._attempts = [0] * storm.clients  # begun so far; the newest is the one under way
        self._failures = [0] * storm.clients
        self._at_home = bytearray(storm.clients)
        self._returned: list[float] = []
        self._refused_in: dict[int, int] = {}
        self._begun = self._given_up = self._lost = self._wasted = self._most_arriving = 0

    def run(self) -> StormResult:
        """Let it pass."""
        for client in range(self._storm.clients):
            self._plan(client, 0.0, self._pause(client, 0))
        agenda, patience, clock = self._agenda, self._patience, self._clock
        most = self._storm.most_attempts * self._storm.clients
        handlers: dict[int, Callable[[int, int, int], None]] = {
            ARRIVE: self._arrive,
            DONE: self._done,
            SAY: self._say,
            ANSWERED: self._answered,
        }
        while len(self._returned) < self._storm.clients and (agenda or patience):
            if patience and (not agenda or patience[0][0] <= agenda.next_at()):
                clock.now, client, attempt = patience.popleft()
                self._lose_patience(client, attempt)
            else:
                agenda.next_at()
                clock.now, _, what, node, client, attempt = agenda.take()
                handlers[what](node, client, attempt)
            if clock.now > self._storm.most_seconds or self._begun > most:
                break
        return self._result()

    # A client

    def _pause(self, client: int, at_least: float) -> float:
        storm = self._storm
        wait = storm.client.wait(self._failures[client], self._random.random(), storm.longest_ms)
        self._failures[client] += 1
        return at_least + wait

    def _plan(self, client: int, now: float, pause: float) -> None:
        self._attempts[client] += 1
        self._begun += 1
        at = now + pause
        self._agenda.add(at, ARRIVE, int(self._random.random() * self._storm.nodes), client, self._attempts[client])

    def _lose_patience(self, client: int, attempt: int) -> None:
        if self._attempts[client] == attempt and not self._at_home[client]:
            self._given_up += 1
            self._plan(client, self._clock.now, self._pause(client, 0))

    def _is_there(self, client: int, attempt: int) -> bool:
        return self._attempts[client] == attempt

    # A gateway

    def _arrive(self, number: int, client: int, attempt: int) -> None:
        """A handshake reaches a node, for the first time or again."""
        if not self._is_there(client, abs(attempt)):
            return
        node, now = self._nodes[number], self._clock.now
        if attempt > 0:
            self._patience.append((now + self._storm.client.patience, client, attempt))
        if node.knocking >= self._storm.backlog:
            self._lost += 1
            self._agenda.add(now + SYN_AGAIN, ARRIVE, number, client, -abs(attempt))  # the same attempt, knocking again
            return
        node.knocking += 1
        self._queue(number, HANDSHAKE, client, abs(attempt))

    def _say(self, number: int, client: int, attempt: int) -> None:
        """The connect command reaches a node."""
        self._queue(number, CONNECT, client, attempt)

    def _queue(self, number: int, kind: int, client: int, attempt: int) -> None:
        """Do a thing at a node at once when its thread is free, else in its turn."""
        node = self._nodes[number]
        if node.waiting or node.free_at > self._clock.now:
            node.waiting.append((kind, client, attempt))
            if len(node.waiting) == 1:
                self._agenda.add(node.free_at, DONE, number, 0, 0)
        else:
            self._work(number, node, kind, client, attempt)

    def _done(self, number: int, _client: int, _attempt: int) -> None:
        """The thread of a node is free, and something waits for it."""
        node = self._nodes[number]
        self._work(number, node, *node.waiting.popleft())
        if node.waiting:
            self._agenda.add(node.free_at, DONE, number, 0, 0)

    def _work(self, number: int, node: _Node, kind: int, client: int, attempt: int) -> None:
        storm, now = self._storm, self._clock.now
        there = self._attempts[client] == attempt
        if kind == HANDSHAKE:
            node.knocking -= 1
            cost = self._shake_hands(number, node, client, attempt) if there else storm.costs.refuse
        elif there:
            node.door.begin_connect()
            cost = storm.costs.connect
            self._ask_redis(number, client, attempt, now + cost / storm.share)
        else:
            node.door.leave_unauthenticated()
            cost = 0.0
        node.free_at = now + cost / storm.share

    def _shake_hands(self, number: int, node: _Node, client: int, attempt: int) -> float:
        """Let a client in or refuse it; what that costs."""
        storm = self._storm
        retry_after = node.door.refuse()
        cost = storm.costs.handshake if retry_after is None else storm.costs.refuse
        answered = self._clock.now + cost / storm.share
        if retry_after is None:
            self._most_arriving = max(self._most_arriving, node.door.arriving)
            self._agenda.add(answered + storm.round_trip, SAY, number, client, attempt)
            return cost
        second = int(answered)
        self._refused_in[second] = self._refused_in.get(second, 0) + 1
        pause = self._pause(client, retry_after if storm.client.reads_retry_after else 0)
        self._plan(client, answered + storm.round_trip / 2, pause)
        return cost

    # Redis

    def _ask_redis(self, number: int, client: int, attempt: int, at: float) -> None:
        shard = client % self._storm.shards
        cost = self._storm.costs.redis
        begins = max(at, self._redis_free[shard])
        self._redis_free[shard] = begins + cost
        self._redis_busy[shard] += cost
        self._agenda.add(begins + cost, ANSWERED, number, client, attempt)

    def _answered(self, number: int, client: int, attempt: int) -> None:
        node = self._nodes[number]
        if not self._is_there(client, attempt):
            node.door.abandon()
            self._wasted += 1
            return
        node.door.complete()
        self._at_home[client] = 1
        self._returned.append(self._clock.now)

    def _result(self) -> StormResult:
        back, clients = self._returned, self._storm.clients
        until = {
            percent: back[needed - 1]
            for percent in (50, 90, 99, 100)
            if (needed := -(-clients * percent // 100)) <= len(back)
        }
        returned_in: dict[int, int] = {}
        for at in back:
            returned_in[int(at)] = returned_in.get(int(at), 0) + 1
        span = until.get(99, self._clock.now)
        return StormResult(
            back=len(back),
            seconds_until=until,
            attempts=self._begun,
            most_attempts=max(self._attempts),
            refused=sum(self._refused_in.values()),
            given_up=self._given_up,
            lost=self._lost,
            peak_refused=max(self._refused_in.values(), default=0),
            peak_back=max(returned_in.values(), default=0),
            most_arriving=self._most_arriving,
            most_connections=max(node.door.connections for node in self._nodes),
            redis_share=min(1.0, max(self._redis_busy) / span) if span else 0.0,
            wasted=self._wasted,
        )


def simulate(storm: Storm) -> StormResult:
    """Return what comes of a storm."""
    return Simulation(storm).run()
