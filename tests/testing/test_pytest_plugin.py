"""The plugin, in runs of pytest of its own."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from messageflow.publisher.stand_in import find_stand_in
from messageflow.testing import accidents, live_gateway, live_page, pytest_plugin, recorder  # noqa: F401 - stay loaded
from tests.publisher.test_public import loaded_after

pytest_plugins = ["pytester"]

PLUGIN = ("-p", pytest_plugin.__name__)
APPLICATION = """
from messageflow import Flow, PublishError

flow = Flow("http://127.0.0.1:9", api_key="x" * 32)

def view():
    flow.push("alice", "report/ready", {"id": 7})

def careful_view():
    try:
        view()
    except PublishError:
        pass
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(app=APPLICATION)
    return pytester


def test_it_is_an_entry_point() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"messageflow": pytest_plugin.__name__}


def test_fixtures_need_no_import(run: pytest.Pytester) -> None:
    run.makepyfile(
        """
        import app

        def test_recorded(flow_recorder):
            app.view()
            assert flow_recorder.to("alice").of("report/ready").one().payload == {"id": 7}

        def test_clean(flow_recorder):
            flow_recorder.none()

        def test_live(live_gateway):
            page = live_gateway.connect("alice")
            app.view()
            assert page.wait_for("report/ready").payload == {"id": 7}
        """
    )
    run.runpytest_inprocess(*PLUGIN).assert_outcomes(passed=3)
    assert find_stand_in() is None


def test_a_push_by_accident_fails_the_test_whatever_the_application_does(run: pytest.Pytester) -> None:
    run.makepyfile(
        """
        import pytest, app

        def test_raised():
            app.view()

        def test_swallowed():
            app.careful_view()

        def test_later():
            app.flow.later.push("alice", "t")

        def test_nothing_pushed():
            pass

        @pytest.mark.real_gateway
        def test_meant():
            with pytest.raises(Exception, match="no gateway answers"):
                app.view()

        def test_recorded(flow_recorder):
            app.careful_view()
        """
    )
    result = run.runpytest_inprocess(*PLUGIN, "--strict-markers")
    result.assert_outcomes(failed=3, passed=3)
    result.stdout.fnmatch_lines(
        [
            "*about to call http://127.0.0.1:9, a real gateway, at *app.py:6*ask for the fixture flow_recorder*",
            "*about to call http://127.0.0.1:9, a real gateway, at *app.py:6",
            "*about to call http://127.0.0.1:9, a real gateway, at *test_*.py:10",
        ]
    )


def test_an_address_may_be_allowed(run: pytest.Pytester) -> None:
    run.makeini("[pytest]\nmessageflow_gateways = http://127.0.0.1:9/\n")
    run.makepyfile(
        """
        import pytest, app

        def test_meant():
            with pytest.raises(Exception, match="no gateway answers"):
                app.view()
        """
    )
    run.runpytest_inprocess(*PLUGIN).assert_outcomes(passed=1)


def test_a_flow_that_was_told_nothing_is_no_accident(run: pytest.Pytester) -> None:
    run.makepyfile(
        """
        from messageflow import Flow, GatewayUnreachable

        def test_development():
            try:
                Flow().push("alice", "t")
            except GatewayUnreachable as error:
                assert "no development gateway" in str(error)
        """
    )
    run.runpytest_inprocess(*PLUGIN).assert_outcomes(passed=1)


def test_a_configuration_of_the_project_is_used(run: pytest.Pytester) -> None:
    run.makeini("[pytest]\nmessageflow_config = messageflow.toml\n")
    run.makefile(".toml", messageflow='[[channel.namespaces]]\nname = "rooms"\n')
    run.makepyfile(
        """
        import pytest, app
        from messageflow import Refused

        def test_it(flow_recorder):
            app.flow.publish("rooms:blue", 1)
            with pytest.raises(Refused):
                app.flow.publish("romos:blue", 1)
        """
    )
    run.runpytest_inprocess(*PLUGIN).assert_outcomes(passed=1)


def test_with_xdist_each_worker_has_its_own(run: pytest.Pytester) -> None:
    run.makepyfile(
        """
        import sys, pytest

        @pytest.mark.parametrize("name", ["alice", "bob", "carl", "dora"])
        def test_live(live_gateway, name):
            import app
            page = live_gateway.connect(name)
            app.flow.broadcast("news", name)
            assert page.wait_for("news").payload == name
            assert len(page.settle()) == 1
        """
    )
    run.runpytest_subprocess(*PLUGIN, "-p", "xdist", "-n", "2", "-k", "live").assert_outcomes(passed=4)


def test_unused_it_loads_next_to_nothing() -> None:
    program = "import pytest, messageflow.testing.pytest_plugin, messageflow.testing.accidents"
    ours = {name for name in loaded_after(program) if name.startswith(("messageflow", "msgspec", "asyncio"))}
    assert ours == {
        *("messageflow", "messageflow.errors", "messageflow.publisher", "messageflow.publisher.stand_in"),
        *("messageflow.testing", "messageflow.testing.accidents", "messageflow.testing.pytest_plugin"),
    }


UNITTEST = """
import unittest
from messageflow.testing import FlowRecorderMixin, LiveGatewayMixin, record_flows
import app

class Recorded(FlowRecorderMixin, unittest.TestCase):
    def test_one(self):
        app.view()
        self.flow_recorder.to("alice").one()

    def test_clean(self):
        self.flow_recorder.none()

class Live(LiveGatewayMixin, unittest.TestCase):
    def test_one(self):
        page = self.live_gateway.connect("alice")
        app.view()
        page.wait_for("report/ready")

class Block(unittest.TestCase):
    def test_one(self):
        with record_flows() as recorder:
            app.view()
        recorder.one()
"""

DJANGO = """
import django
from django.conf import settings
from django.test import SimpleTestCase
from messageflow.testing import FlowRecorderMixin
import app

if not settings.configured:
    settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])
    django.setup()

def view(request):
    from django.http import HttpResponse
    app.view()
    return HttpResponse()

from django.urls import path
urlpatterns = [path("", view)]

class Views(FlowRecorderMixin, SimpleTestCase):
    def test_a_view(self):
        self.client.get("/")
        self.flow_recorder.to("alice").of("report/ready").one()
"""


def test_unittest_and_django_have_the_same(tmp_path: Path) -> None:
    for name, text in {"app": APPLICATION, "test_unit": UNITTEST, "test_django": DJANGO}.items():
        (tmp_path / f"{name}.py").write_text(text)
    ran = subprocess.run(
        [sys.executable, "-m", "unittest", "test_unit", "test_django"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "Ran 5 tests" in ran.stderr
