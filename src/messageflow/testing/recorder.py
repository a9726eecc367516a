"""`flow_recorder`: what views, tasks and signals push, without any server.

    assert flow_recorder.to("alice").of("report/ready").one().payload == {"id": 7}

Calls go through the server API over a broker in memory, so that names, JSON, sizes and namespaces are checked as a
gateway checks them, receipts are returned, and history and positions can be asked for. Nobody is online.

Owns what was recorded. Never opens a connection, and needs no event loop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from messageflow.api.api import Api
from messageflow.api.calls import Nothing
from messageflow.api.methods import METHODS
from messageflow.brokers.memory import MemoryBroker
from messageflow.client_io.kernel import run_now
from messageflow.client_io.outcome import NoResponse, Response
from messageflow.core.namespaces import NamespaceOptions, Namespaces
from messageflow.core.stream import Publication
from messageflow.hub.limits import Limits
from messageflow.publisher.stand_in import StandIn, standing_in
from messageflow.testing.recorded_selection import Recorded, RecordedCall, Selection, read_publication

if TYPE_CHECKING:
    from messageflow.client_io.kernel import ClientIO

__all__ = ["FlowRecorder", "Recorded", "RecordedCall", "Selection"]

SECRET = "a-secret-that-flow-recorder-signs-tokens-with"
ACTING = frozenset(name for name, method in METHODS.items() if method.answers is Nothing)
AWAY = NoResponse("flow_recorder.away() was asked for", absent=True, hopeless=True)


class FlowRecorder(StandIn, Selection):
    """Everything that is pushed, broadcast and published, in order; select with `to`, `broadcasts`, `channel` and `of`.

    Args:
        config: a `messageflow.toml`, whose namespaces and limits are checked; without it every namespace is there.

    Attributes:
        calls: what else was called and does something: `revoke`, `disconnect`, `subscribe` and the others.
    """

    url = "flow_recorder"
    token_secret = SECRET

    def __init__(self, config: str | Path | None = None) -> None:
        super().__init__([])
        self.calls: list[RecordedCall] = []
        self._is_away = False
        self._lock = threading.RLock()  # calls come from any thread, and the API is for one
        self._namespaces, self._size_limit = _read_config(config)
        self._make_api()

    def _make_api(self) -> None:
        self._api = Api(RecordingBroker(self._record), self._namespaces, self._size_limit)

    def clear(self) -> None:
        """Forget everything, streams and idempotency keys included."""
        with self._lock:
            self.recorded.clear()
            self.calls.clear()
            self._make_api()

    @contextmanager
    def recording(self) -> Iterator[FlowRecorder]:
        """Take the calls of all flows of this process, in a `with` block."""
        with standing_in(self):
            yield self

    @contextmanager
    def away(self) -> Iterator[None]:
        """Be a gateway that cannot be reached, in a `with` block: calls raise `GatewayUnreachable`."""
        self._is_away = True
        try:
            yield
        finally:
            self._is_away = False

    # As a stand-in

    def get_client(self, io: ClientIO) -> tuple[FlowRecorder, str]:
        """See `StandIn`: calls are carried out here, whatever they wait by."""
        return self, ""

    def perform_later(self, perform: Callable[[], object]) -> bool:
        """What is called of `flow.later` is recorded at once."""
        if not self._is_away:
            perform()
        return True

    async def exchange(self, method: str, body: bytes, limit: float, api_key: str = "") -> Response | NoResponse:
        """Carry out a call; see `client_io.kernel.ApiClient`. Never waits."""
        if self._is_away:
            return AWAY
        with self._lock:
            if method in ACTING:
                self.calls.append(RecordedCall(method, msgspec.json.decode(body)))
            return Response(*run_now(self._api.call(method, body)))

    def close(self) -> None:
        """Nothing is open."""

    def abandon(self) -> None:
        """Nothing is open."""

    def _record(self, channel: str, publication: Publication) -> None:
        self.recorded.append(read_publication(channel, publication))


class RecordingBroker(MemoryBroker):
    """A broker in memory that shows everything that is published, and needs no event loop.

    Args:
        record: takes a channel and what is new in it.
    """

    def __init__(self, record: Callable[[str, Publication], None]) -> None:
        super().__init__()
        self._record = record
        self._sink = _Nobody()

    def _deliver(self, channel: str, epoch: str, publication: Publication) -> None:
        if not channel.startswith("!"):  # the gateways' own
            self._record(channel, publication)


class _Nobody:
    """Where a broker delivers to that has no hub."""

    def on_publication(self, channel: str, epoch: str, publication: Publication) -> None:
        """Nobody is subscribed."""

    def on_presence(self, channel: str, push: Any) -> None:
        """Nobody is present."""

    def on_control(self, message: bytes) -> None:
        """Nobody is connected."""

    def on_question(self, question: bytes) -> bytes:
        """What a gateway with nobody in it says."""
        if question.startswith(b"info"):
            return b'{"uid":"flow_recorder","name":"flow_recorder"}'
        return b"{}"

    def on_doubt(self) -> None:
        """Nothing was missed."""


class _AnyNamespace(Namespaces):
    """Every namespace is there, with the options of channels without one."""

    def options(self, channel: str) -> NamespaceOptions | None:
        found = super().options(channel)
        return found or super().options(channel.replace(":", "-"))


def _read_config(config: str | Path | None) -> tuple[Namespaces, int]:
    if config is None:
        return _AnyNamespace(), Limits().payload_size_limit
    from messageflow.gateway.settings_loading import load_settings

    settings = load_settings(toml_path=Path(config))
    return settings.namespaces, settings.limits.payload_size_limit
