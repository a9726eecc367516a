"""The loads of the measured runs: crowds that connect and come back, and publishers.

Each load puts down what work it was, for the meter. It never measures.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.crowd import Crowd, CrowdFailed, crowd
from benchmarks.publishing import payload, publish_at_rate, publish_burst
from benchmarks.pushing import our_flow
from benchmarks.scale.model import Unit
from benchmarks.servers.base import Server, SubscribeSide
from benchmarks.servers.gateway import token, user
from benchmarks.servers.over_redis import System
from messageflow import Receipt

BURST_PUBLISHERS = 32
DRAIN_SECONDS = 1.0  # what is on its way when wrk stops still arrives
BATCH = 500

Channels = Callable[[int], Sequence[str]]
Held = Callable[[int], Mapping[str, Receipt]]


def nothing(_: int) -> Mapping[str, Receipt]:
    """Of a connection that comes for the first time."""
    return {}


@dataclass(frozen=True, slots=True)
class Visitors:
    """Connections that come.

    Args:
        first: the number of the first user; each connection is a user of its own.
        count: how many.
        channels: what the one with a number holds beside `#user` and `*`; as many for each.
        held: where the one with a number stood, by channel.
    """

    first: int
    count: int
    channels: Channels
    held: Held = nothing

    def frames(self, _: int = 0) -> Iterator[str]:
        """The first frame of each."""
        for number in range(self.first, self.first + self.count):
            positions = {name: resume(receipt) for name, receipt in self.held(number).items()}
            commands: list[dict[str, object]] = []
            for name in self.channels(number):
                subscribe = {"channel": name, **positions.pop(name, {})}
                commands.append({"id": len(commands) + 2, "subscribe": subscribe})
            connect = {"token": token(number), "subs": positions}
            yield "\n".join(json.dumps(each) for each in ({"id": 1, "connect": connect}, *commands))

    @property
    def each(self) -> int:
        """How many channels each holds beside `#user` and `*`."""
        return len(self.channels(self.first))

    def opened(self, nodes: int) -> float:
        """Subscriptions of these that are the first of their channel at their node."""
        places = range(self.count)  # connections are dealt out in the order in which they come
        return float(len({(name, place % nodes) for place in places for name in self.channels(self.first + place)}))


def resume(receipt: Receipt) -> dict[str, object]:
    """A position, as a client presents it."""
    return {"recover": True, "epoch": receipt.epoch, "offset": receipt.offset, "tag": receipt.tag}


@contextmanager
def come(system: System, visitors: Visitors, scratch: Path, counts: dict[Unit, float]) -> Iterator[Crowd]:
    """Connections, from when all have come until they leave."""
    side: SubscribeSide = system.server.subscribe
    side = replace(side, first_frames=visitors.frames, ready_text=f'"id":{visitors.each + 1}')
    with crowd(replace(system.server, subscribe=side), visitors.count, scratch) as subscribers:
        counts[Unit.CONNECT] = visitors.count
        counts[Unit.SUBSCRIBE] = visitors.count * visitors.each
        counts[Unit.OPEN] = visitors.opened(len(system.gateways))
        counts[Unit.RESUME] = visitors.count * len(visitors.held(visitors.first))
        yield subscribers


def publishing(server: Server, channel: str) -> Server:
    """The server, publishing in a channel."""
    side = replace(server.publish, body=lambda text: json.dumps({"channel": channel, "data": text}))
    return replace(server, publish=side)


def publish(
    system: System,
    channels: Sequence[str],
    count: int,
    per_second: float,
    reach: tuple[int, int],
    counts: dict[Unit, float],
) -> None:
    """Publish by one client at an even rate, in each of these channels in turn.

    Args:
        reach: how many nodes are told of one, none by an embedded broker, and how many connections get it.
        counts: where the work is put down.
    """
    publish_at_rate([publishing(system.server, channel) for channel in channels], count, per_second)
    time.sleep(0.2)
    put_down(counts, {Unit.PUBLISH: count, Unit.HEAR: count * reach[0], Unit.DELIVER: count * reach[1]})


def burst(
    system: System, channel: str, seconds: int, reach: tuple[int, int], scratch: Path, counts: dict[Unit, float]
) -> None:
    """Publish by many clients as fast as they can; arguments as of `publish`."""
    done = publish_burst(publishing(system.server, channel), seconds, BURST_PUBLISHERS, scratch)
    time.sleep(DRAIN_SECONDS)
    made = {
        Unit.PUBLISH_JOINED: done.requests,
        Unit.HEAR_JOINED: done.requests * reach[0],
        Unit.DELIVER_JOINED: done.requests * reach[1],
    }
    put_down(counts, made)


def put_down(counts: dict[Unit, float], made: Mapping[Unit, float]) -> None:
    """Add what was done to what is counted."""
    for unit, count in made.items():
        counts[unit] = counts.get(unit, 0.0) + count


def leave_behind(system: System, numbers: range, channel: str) -> Held:
    """Publish once to each user, to everybody and in the channel, and say where all stand then."""
    port = system.gateways[0].server.port
    own: dict[int, Receipt] = {}
    with our_flow(port) as flow:
        for first in range(numbers.start, numbers.stop, BATCH):
            some = range(first, min(first + BATCH, numbers.stop))
            with flow.batch() as batch:
                for number in some:
                    batch.push(user(number), "scale/own", "")
            own |= {number: receipt for number, receipt in zip(some, batch.receipts, strict=True) if receipt}
        shared = {"*": flow.broadcast("scale/all", ""), channel: flow.publish(channel, "")}
    return lambda number: {f"#{user(number)}": own[number], **shared}


def miss(system: System, channel: str, each: int) -> None:
    """Publish what is missed by all, so many in `*` and in the channel."""
    with our_flow(system.gateways[0].server.port) as flow:
        for number in range(each):
            flow.broadcast("scale/missed", payload(2 * number + 1, 0))
            flow.publish(channel, payload(2 * number + 2, 0))


def check_missed(subscribers: Crowd) -> None:
    """End the crowd, and see that each got what it missed in either channel: one line each, which counts once.

    Raises:
        CrowdFailed: one did not.
    """
    received = subscribers.stop()
    if not received.fewest == received.most == 2:
        raise CrowdFailed(f"not everybody got what was missed in two channels: {received}")
