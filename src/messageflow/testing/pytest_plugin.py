"""The plugin of pytest: the fixtures `flow_recorder` and `live_gateway`, and a test that pushes by accident fails.

Loaded by every run of pytest where messageflow is installed, so that fixtures need no import. Therefore it imports
nothing until something is asked for, but the few lines by which a flow finds out that a test is going on.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from messageflow.testing.accidents import AccidentGuard
    from messageflow.testing.live_gateway import LiveGateway
    from messageflow.testing.recorder import FlowRecorder

GATEWAYS = "messageflow_gateways"
CONFIG = "messageflow_config"
MARKER = "real_gateway"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the two settings."""
    parser.addini(GATEWAYS, "real gateways that tests may push into, by address; * is all", type="linelist", default=[])
    parser.addini(CONFIG, "a messageflow.toml whose namespaces and limits flow_recorder and live_gateway have")


def pytest_configure(config: pytest.Config) -> None:
    """Begin to look at what flows call, until the run ends."""
    config.addinivalue_line("markers", f"{MARKER}: the flows of this test call the gateway that they were told")
    from messageflow.publisher.stand_in import standing_in
    from messageflow.testing.accidents import AccidentGuard

    stack = ExitStack()
    config.add_cleanup(stack.close)
    guard = AccidentGuard(config.getini(GATEWAYS))
    stack.enter_context(standing_in(guard))
    config.pluginmanager.register(_Watch(guard), "messageflow-watch")


class _Watch:
    """Fails tests whose flows were refused, where nobody else does."""

    def __init__(self, guard: AccidentGuard) -> None:
        self._guard = guard

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, None]:
        """What was refused before is another test's."""
        self._guard.take_accidents()
        if item.get_closest_marker(MARKER) is None:
            yield
            return
        with self._guard.off():
            yield

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(self) -> Generator[None, Any, None]:
        """A refusal that the application has swallowed ends the test all the same."""
        outcome = yield
        accidents = self._guard.take_accidents()
        if accidents and outcome.excinfo is None:
            from messageflow.testing.accidents import ADVICE

            said = "\n".join(dict.fromkeys(map(str, accidents)))
            outcome.force_exception(pytest.fail.Exception(f"{said}\n{ADVICE}", pytrace=False))


@pytest.fixture
def flow_recorder(pytestconfig: pytest.Config) -> Iterator[FlowRecorder]:
    """Records what is pushed, without any server: `flow_recorder.to("alice").of("report/ready").one().payload`."""
    from messageflow.testing.recorder import FlowRecorder

    with FlowRecorder(_find_config(pytestconfig)).recording() as recorder:
        yield recorder


@pytest.fixture(scope="session")
def messageflow_gateway(pytestconfig: pytest.Config) -> Iterator[LiveGateway]:
    """The process behind `live_gateway`, one a run; override it for other settings of the gateway."""
    from messageflow.testing.live_gateway import LiveGateway

    gateway = LiveGateway(_find_config(pytestconfig))
    yield gateway
    gateway.stop()


@pytest.fixture
def live_gateway(messageflow_gateway: LiveGateway) -> Iterator[LiveGateway]:
    """A real gateway on a free port, which all flows use, with nothing in it: `live_gateway.connect("alice")`."""
    with messageflow_gateway.serving():
        yield messageflow_gateway


def _find_config(config: pytest.Config) -> str | None:
    name: str = config.getini(CONFIG)
    return str(config.rootpath / name) if name else None
