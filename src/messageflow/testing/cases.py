"""The kit for `unittest`, and so for Django's `TestCase`: mixins, and the functions they are made of.

    class Reports(FlowRecorderMixin, TestCase):
        def test_alice_is_told(self):
            self.client.post("/reports")
            self.flow_recorder.to("alice").of("report/ready").one()

Put a mixin before the class of the framework. One gateway serves all tests of a process, and ends with it.
"""

from __future__ import annotations

import atexit
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import TestCase

from messageflow.testing.live_gateway import LiveGateway
from messageflow.testing.recorder import FlowRecorder

if TYPE_CHECKING:
    _Case = TestCase
else:
    _Case = object


def record_flows(config: str | Path | None = None) -> AbstractContextManager[FlowRecorder]:
    """Record what all flows of this process push, in a `with` block; see `FlowRecorder`."""
    return FlowRecorder(config).recording()


def serve_gateway(config: str | Path | None = None, **settings: Any) -> AbstractContextManager[LiveGateway]:
    """Let all flows of this process use a gateway for tests, in a `with` block; see `LiveGateway`.

    It is started once for each configuration, and is clean in each block.
    """
    key = (str(config or ""), repr(sorted(settings.items())))
    if key not in _gateways:
        _gateways[key] = LiveGateway(config, **settings)
        atexit.register(_gateways[key].stop)
    return _gateways[key].serving()


_gateways: dict[tuple[str, str], LiveGateway] = {}


class FlowRecorderMixin(_Case):
    """Gives each test `self.flow_recorder`, clean.

    Attributes:
        messageflow_config: a `messageflow.toml`, for its namespaces and limits.
    """

    messageflow_config: str | Path | None = None
    flow_recorder: FlowRecorder

    def setUp(self) -> None:
        stack = ExitStack()
        self.addCleanup(stack.close)
        self.flow_recorder = stack.enter_context(record_flows(self.messageflow_config))
        super().setUp()


class LiveGatewayMixin(_Case):
    """Gives each test `self.live_gateway`, clean.

    Attributes:
        messageflow_config: a `messageflow.toml`, for its namespaces and limits.
    """

    messageflow_config: str | Path | None = None
    live_gateway: LiveGateway

    def setUp(self) -> None:
        stack = ExitStack()
        self.addCleanup(stack.close)
        self.live_gateway = stack.enter_context(serve_gateway(self.messageflow_config))
        super().setUp()
