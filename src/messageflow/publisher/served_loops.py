"""Event loops on which requests are served, where no `Flow` waits: it would hold up all of them.

Integrations tell which these are. On a loop of which nobody told, such as that of a script, a `Flow` waits, and the log
says so once; a notebook has a loop for its own use. Owns the loops, weakly.

asyncio is not imported for this: where nobody has, no loop runs.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING
from weakref import WeakSet

from messageflow.errors import PublishError

if TYPE_CHECKING:
    import asyncio

log = logging.getLogger("messageflow")

INSTEAD = "await AsyncFlow instead of calling Flow, or call it in a function that runs on a thread"
SERVED = (
    f"this code runs on the event loop that serves the application, where waiting would hold up all requests: {INSTEAD}"
)
UNKNOWN = f"a Flow is called on an event loop, and holds it up until the gateway has answered: {INSTEAD}"

_served: WeakSet[asyncio.AbstractEventLoop] = WeakSet()
_has_warned = False


def note_served(loop: asyncio.AbstractEventLoop) -> None:
    """Let no `Flow` wait on a loop, from now on."""
    _served.add(loop)


def refuse_to_block() -> None:
    """Say that this is an event loop, if it is one.

    Raises:
        PublishError: requests are served on it.
    """
    global _has_warned
    asyncio = sys.modules.get("asyncio")
    loop = None if asyncio is None else asyncio._get_running_loop()  # the public one raises, which takes longer
    if loop is None:
        return
    if loop in _served:
        raise PublishError(SERVED)
    if not _has_warned and "ipykernel" not in sys.modules:
        _has_warned = True
        log.warning(UNKNOWN)
