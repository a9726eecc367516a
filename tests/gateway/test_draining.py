"""A gateway that is going away says so, and nothing is taken half."""

from __future__ import annotations

import json

from messageflow.gateway.worker_api import WorkerApi
from tests.hub.conftest import World


async def test_a_call_while_draining_is_refused_for_another_try() -> None:
    world = World()
    await world.hub.start()
    api = WorkerApi(world.hub, 65_536)
    world.hub.draining = True
    status, answer = await api.call("push", b'{"user":"alice","type":"a","payload":1}')
    assert (status, json.loads(answer)["error"]["code"]) == (503, 100)
    assert (await world.broker.read_page("#alice", None, 9)).publications == []
    await world.hub.close()
