"""Two dialects in one worker: what a delivery to a classic browser costs beside a native one, and whether they pay."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import jwt

from benchmarks.crowd import crowd
from benchmarks.figures import Figure, at_most_times_peer
from benchmarks.plan import Plan
from benchmarks.publishing import publish_in_sequence
from benchmarks.servers.base import PublishSide, Server, SubscribeSide, running
from benchmarks.servers.gateway import API_KEY, TOKEN_SECONDS, TOKEN_SECRET, with_flags
from benchmarks.turns import Side, take_turns

BROWSERS, PUSHES = 1000, 50  # of a turn
SETTLE_SECONDS = 0.1  # in which the last push of a turn is delivered
CLASSIC = "cesium"
METHOD = (
    f"One worker with --classic {CLASSIC}; {BROWSERS:,} connections of one user at /websocket and as many of another "
    f"at /connection/websocket. In small turns {PUSHES} pushes to either, each as soon as the one before is answered: "
    "CPU of the gateway, the HTTP request included, divided by deliveries. A second worker, without --classic, has the "
    "native half alone, and takes turns with the native half of the first. A ratio is the median of the turns' ratios."
)


def run(plan: Plan) -> list[Figure]:
    """Measure."""
    with ExitStack() as stack:

        def start(*flags: str) -> Side:
            server = with_flags("--connections-per-user", "0", *flags)(plan.scratch)
            return Side(server, stack.enter_context(running(server, plan.scratch)))

        both, alone = start("--classic", CLASSIC), start()
        sides = {
            "classic": both._replace(server=_of_classic(both.server)),
            "native": both._replace(server=_of_native(both.server)),
            "alone": alone._replace(server=_of_native(alone.server)),
        }
        for side in sides.values():
            stack.enter_context(crowd(side.server, BROWSERS, plan.scratch))

        turns, deliveries = plan.of(short=20, full=80), BROWSERS * PUSHES
        beside = take_turns((sides["classic"], sides["native"]), turns, deliveries, _push)
        mixed = take_turns((sides["native"], sides["alone"]), turns, deliveries, _push)
    held, same = (at_most_times_peer(1.1),), (at_most_times_peer(1.05),)
    what = "CPU per delivery to a"
    return [
        Figure(f"{what} classic browser", "µs", beside.ours, "a native one", beside.before, held),
        Figure(f"{what} native one beside those", "µs", mixed.ours, "without", mixed.before, same),
    ]


def _push(server: Server) -> None:
    publish_in_sequence(server, PUSHES)
    time.sleep(SETTLE_SECONDS)


def _of_native(server: Server) -> Server:
    """The half of a gateway that speaks the native dialect."""

    def connect(connections: int) -> Iterator[str]:
        said = json.dumps({"id": 1, "connect": {"token": _token("sub", "native")}})
        return (said for _ in range(connections))

    subscribe = SubscribeSide("/connection/websocket", connect, ready_text='"id":1', answer_pings=True)
    return replace(server, subscribe=subscribe, publish=_pushing_to("native"))


def _of_classic(server: Server) -> Server:
    """The other half. Its token is there before it is asked for."""

    def show_token(connections: int) -> Iterator[str]:
        token = _token("username", "classic")
        return (token for _ in range(connections))

    subscribe = SubscribeSide("/websocket", show_token, ready_text="AUTH OK")
    return replace(server, subscribe=subscribe, publish=_pushing_to("classic"))


def _token(claim: str, user: str) -> str:
    return jwt.encode({claim: user, "exp": int(time.time()) + TOKEN_SECONDS}, TOKEN_SECRET, algorithm="HS256")


def _pushing_to(user: str) -> PublishSide:
    headers = {"X-API-Key": API_KEY, "Content-Type": "application/json"}
    return PublishSide("/api/push", lambda text: json.dumps({"user": user, "type": "n", "payload": text}), headers)
