"""The application of a run: handlers that write down what they are asked, before and after they do it.

    messageflow serve --hooks tests.faults.handled:flow        in the gateway's processes
    python -m tests.faults.handled PORT                        by webhook, in one of their own

Every second order goes to a coroutine function. What an order wishes for is done: it is carried out, refused, ends in
an error, or hangs: until its time is over, by webhook for a while.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

from messageflow import Flow, Refuse
from messageflow.handlers.event import Event
from tests.faults.history import CameIn, Handled, Handling, Recorder, WentOut, now

HISTORIES = "FAULTS_HISTORIES"
"""The variable of the environment that says where histories are written."""

REFUSED = 1001
"""The code with which an order is refused that wishes to be."""

HANGING = 6.0 if __name__ == "__main__" else 3600.0  # by webhook it ends by itself, before the gateway gives up
PROCESS = f"handlers-{os.getpid()}"

flow = Flow()
recorder = Recorder(Path(os.environ.get(HISTORIES, ".")) / f"{PROCESS}.jsonl") if HISTORIES in os.environ else None


def write(event: Any) -> None:
    """Write an event of this process."""
    assert recorder is not None
    recorder.write(event)


def begin(event: Event) -> None:
    """Note that an order is being handled, and refuse or fail where it wishes so."""
    order = event.data
    write(Handling(at=now(), process=PROCESS, teller=order["teller"], number=order["number"]))
    if order["wish"] == "refuse":
        raise Refuse(REFUSED, "as you wish")
    if order["wish"] == "fail":
        raise ValueError("as you wish")


def end(event: Event) -> None:
    """Note that it is handled."""
    order = event.data
    write(Handled(at=now(), process=PROCESS, teller=order["teller"], number=order["number"]))


@flow.on("order")
def take(event: Event) -> None:
    """Take an order on a thread."""
    begin(event)
    time.sleep(event.data["seconds"])
    end(event)


@flow.on("order_async")
async def take_async(event: Event) -> None:
    """Take an order on the loop, and hang where it wishes so."""
    begin(event)
    await asyncio.sleep(HANGING if event.data["wish"] == "hang" else event.data["seconds"])
    end(event)


@flow.on_connect
def come(event: Event) -> None:
    """Let everybody in."""
    write(CameIn(at=now(), process=PROCESS, client=event.client, user=event.user))


@flow.on_disconnect
def go(event: Event) -> None:
    """Note who has gone."""
    write(WentOut(at=now(), process=PROCESS, client=event.client, code=event.code, reason=event.reason))


def main() -> None:
    """Serve the webhook."""
    import uvicorn

    uvicorn.run(flow.webhook.asgi, port=int(sys.argv[1]), log_level="error", lifespan="off", access_log=False)


if __name__ == "__main__":
    main()
