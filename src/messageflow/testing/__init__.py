"""What people test their applications with, and what brokers are tested with.

    from messageflow.testing import FlowRecorderMixin, LiveGatewayMixin, record_flows, serve_gateway

    pytest_plugin    the fixtures flow_recorder and live_gateway, which need no import
    cases            the same for unittest and Django
    recorder         records what flows push, without a server
    recorded         what was recorded, and ways to ask for it                       pure
    live_gateway     a real gateway, one a run, clean for each test
    gateway_process  the process it runs in
    handler_server   where it asks the application's handlers
    live_page        a page without a browser
    accidents        a test that would push into a real gateway

    broker_suite, clock, memory_connection   for those who write brokers and transports

Names are loaded when they are used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from messageflow.testing.cases import FlowRecorderMixin, LiveGatewayMixin, record_flows, serve_gateway
    from messageflow.testing.live_gateway import LiveGateway
    from messageflow.testing.live_page import LivePage
    from messageflow.testing.recorded_selection import Recorded, Selection
    from messageflow.testing.recorder import FlowRecorder

__all__ = [
    "FlowRecorder",
    "FlowRecorderMixin",
    "LiveGateway",
    "LiveGatewayMixin",
    "LivePage",
    "Recorded",
    "Selection",
    "record_flows",
    "serve_gateway",
]

_ELSEWHERE = {
    "FlowRecorder": "recorder",
    "LiveGateway": "live_gateway",
    "LivePage": "live_page",
    "Recorded": "recorded_selection",
    "Selection": "recorded_selection",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'messageflow.testing' has no attribute {name!r}")
    return getattr(importlib.import_module(f"messageflow.testing.{_ELSEWHERE.get(name, 'cases')}"), name)
