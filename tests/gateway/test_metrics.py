"""What `/metrics` says of a worker: each figure is of what its name says."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from messageflow.api.api_counters import ApiCounters
from messageflow.gateway.front_door.admission import Admission
from messageflow.gateway.front_door.admission_counters import AdmissionCounters
from messageflow.gateway.front_door.admission_limits import AdmissionLimits
from messageflow.gateway.metrics import Metrics, _joined, parent_metrics
from messageflow.gateway.origins import Origins
from messageflow.gateway.proxies import Proxies
from messageflow.gateway.worker_api import WorkerApi
from messageflow.hub.counters import Counters
from messageflow.publisher.responses import find_reader
from messageflow.testing.memory_connection import MemoryConnection
from tests.hub.carriers import CARRIERS
from tests.hub.conftest import World


class Watched(World):
    """A world whose metrics can be read."""

    def __init__(self) -> None:
        super().__init__()
        self.api = WorkerApi(self.hub, 65_536)
        self.admission = Admission(
            self.hub, Origins(), Proxies(), limits=AdmissionLimits(connections_limit=3, arrivals_limit=2)
        )
        self.metrics = Metrics(self.hub, self.api, self.admission)

    async def figures(self) -> dict[str, float]:
        return figures((await self.metrics.render()).decode())


def figures(text: str) -> dict[str, float]:
    lines = [line.rpartition(" ") for line in text.splitlines() if line.startswith("messageflow_")]
    return {name.removeprefix("messageflow_"): float(value) for name, _, value in lines}


@pytest.fixture
async def world() -> AsyncIterator[Watched]:
    made = Watched()
    await made.hub.start()
    yield made
    await made.close()


async def test_who_is_here_is_counted_as_what_they_are(world: Watched) -> None:
    await world.connected("alice")
    await world.connected("alice")
    lagging = await world.connected("bob")
    for _ in range(4):
        world.connection()
    lagging.fill()
    found = await world.figures()
    assert (found["sessions"], found["users"], found["arrivals"], found["channels"]) == (3, 2, 4, 3)
    assert found["lagging"] == 1
    assert found["stalled"] == 1
    assert found["fell_behind_total"] == 1


async def test_sessions_are_counted_by_what_carries_them_and_what_they_speak(world: Watched) -> None:
    for carrier in (*CARRIERS.values(), CARRIERS["emulated"], CARRIERS["native"]):
        connection = MemoryConnection(world.hub, carrier=carrier)
        connection.send({"id": 1, "connect": {"token": world.token("alice")}})
        await world.settle()
    connection.lose()
    world.connection()  # which has not said who it is
    found = await world.figures()
    counted = {name: number for name, number in found.items() if name.startswith("sessions_by_transport{")}
    assert counted == {
        'sessions_by_transport{dialect="native",transport="lines"}': 1,
        'sessions_by_transport{dialect="native",transport="sse"}': 2,
        'sessions_by_transport{dialect="protobuf",transport="http_stream"}': 1,
        'sessions_by_transport{dialect="toy",transport="lines"}': 1,
        'sessions_by_transport{dialect="native",transport="toy"}': 1,
    }
    _, body = await world.api.call("info", b"{}")
    [node] = find_reader("info")(body).nodes
    assert {(each.transport, each.dialect): each.num_clients for each in node.transports} == {
        ("lines", "native"): 1,
        ("http_stream", "protobuf"): 1,
        ("lines", "toy"): 1,
        ("sse", "native"): 2,
        ("toy", "native"): 1,
    }
    assert sum(each.num_clients for each in node.transports) == node.num_clients


async def test_commands_and_calls_are_counted_by_name_and_refusals_by_code(world: Watched) -> None:
    connection = await world.connected("alice")
    connection.send({"id": 2, "subscribe": {"channel": "nowhere:x"}})
    connection.send({"id": 3, "nothing": {}})
    await world.settle()
    await world.api.call("push", b'{"user":"alice","type":"t","payload":1}')
    await world.api.call("push", b"{")
    await world.api.call("no such method", b"{}")
    found = await world.figures()
    assert found['commands_total{method="connect"}'] == 1
    assert found['commands_total{method="subscribe"}'] == 1
    assert found['disconnects_total{code="3501"}'] == 1
    assert found['api_calls_total{method="push"}'] == 2
    assert found['api_calls_total{method="unknown"}'] == 1
    assert found['api_errors_total{code="107"}'] == 1
    assert found['api_errors_total{code="104"}'] == 1


async def test_every_counter_and_every_refusal_at_the_door_is_shown(world: Watched) -> None:
    names = [name for name in Counters.__slots__ if isinstance(getattr(world.hub.counters, name), int)]
    for number, name in enumerate(names, 1):
        setattr(world.hub.counters, name, number)
    doors = (
        *("refused_origins", "refused_full", "refused_busy", "refused_files"),
        *("slow_heads", "slow_handshakes", "evicted_requests", "accept_pauses"),
    )
    assert set(doors) == set(AdmissionCounters.__slots__)
    for number, name in enumerate(doors, 100):
        setattr(world.admission.counters, name, number)
    found = await world.figures()
    shown = {name: found[f"{name}_total"] for name in (*names, *doors) if name != "logs_suppressed"}
    expected = {name: float(number) for number, name in enumerate(names, 1)}
    expected |= {name: float(number) for number, name in enumerate(doors, 100)}
    assert shown == {name: value for name, value in expected.items() if name != "logs_suppressed"}
    assert found["logs_suppressed_total"] >= expected["logs_suppressed"]


async def test_hooks_are_counted_by_their_kind(world: Watched) -> None:
    names = [name for name in Counters.__slots__ if name.startswith("hook_")]
    assert len(names) == 5
    for number, name in enumerate(names, 1):
        getattr(world.hub.counters, name)["rpc"] = number
    found = await world.figures()
    assert [found[f'{name}_total{{hook="rpc"}}'] for name in names] == [1.0, 2.0, 3.0, 4.0, 5.0]


async def test_the_door_counts_who_is_in_who_comes_and_who_leaves(world: Watched) -> None:
    assert not world.admission.full
    assert not world.admission.busy
    await world.connected("alice")
    world.connection()
    assert not world.admission.full
    assert not world.admission.busy
    world.hub.connecting += 1
    assert world.admission.busy
    world.hub.connecting -= 1
    world.admission.leaving.add(object())
    assert world.admission.full
    world.admission.leaving.clear()
    assert not world.admission.full
    world.hub.draining = True
    assert world.admission.full


async def test_metrics_of_several_workers_say_whose_each_is() -> None:
    one = b"# TYPE messageflow_sessions gauge\nmessageflow_sessions 2.0\n"
    two = b"# TYPE messageflow_sessions gauge\nmessageflow_sessions 3.0\n"
    parent = parent_metrics(
        {"streams": 7.0, "publications_evicted": 5.0}, ApiCounters({"push": 4}, {}), borrowed=1
    ).partition(b"\n")
    assert parent[0] == b"parent"
    found = figures(_joined([b"1\n" + one, b"2\n" + two, b"parent\n" + parent[2]]).decode())
    assert found['sessions{worker="1"}'] == 2
    assert found['sessions{worker="2"}'] == 3
    assert found['broker_streams{worker="parent"}'] == 7
    assert found['broker_publications_evicted_total{worker="parent"}'] == 5
    assert found['api_calls_total{method="push",worker="parent"}'] == 4
    assert found['borrowed_connections{worker="parent"}'] == 1
