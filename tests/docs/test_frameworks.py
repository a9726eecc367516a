"""The page for each framework, done as it says, in one process and in two, with a browser before it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from messageflow import Flow
from tests.brokers.redis.servers import Server
from tests.docs.written import GATEWAY, ROOT, Written
from tests.support import API_KEY, TOKEN_SECRET

pytestmark = pytest.mark.browser

PORT_OPTIONS = {"flask": "--port {port}", "django": "127.0.0.1:{port} --noreload", "fastapi": "--port {port}"}
FRAMEWORKS = [*PORT_OPTIONS]
RELOAD = " --reload"
KEYS = {"MESSAGEFLOW_API_KEY": API_KEY, "MESSAGEFLOW_TOKEN_SECRET": TOKEN_SECRET}
SCRIPT = 'src="/messageflow.js"'
QUICK_PASSWORDS = 'PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]'  # others take half a second


class Site:
    """What a page of the documentation has come to."""

    def __init__(self, written: Written, stack: ExitStack) -> None:
        self.written = written
        self.stack = stack
        self.variables: dict[str, str] = {}

    def in_one_process(self, heading: str = "One process") -> str:
        command, *more = self.written.commands(heading)
        gateway = self.stack.enter_context(self.written.gateway(command.removesuffix(RELOAD), **self.variables))
        self.start(more)
        return gateway.url

    def in_two_processes(self, option: str) -> str:
        serve, application, *more = self.written.commands("Two processes")
        gateway = self.stack.enter_context(self.written.gateway(serve))
        if SCRIPT in self.written.files.get("page.html", ""):
            there = f'src="{GATEWAY}/messageflow.js"'
            assert f"<script {there}>" in self.written.text
            self.written.change("page.html", SCRIPT, there.replace(GATEWAY, gateway.url))
        port = self.stack.enter_context(self.written.server(without_port(application), option, **self.variables))
        self.start(more)
        return f"http://127.0.0.1:{port}"

    def start(self, commands: list[str]) -> None:
        for command in commands:
            self.stack.enter_context(self.written.running(command, **self.variables))


def without_port(command: str) -> str:
    return command.removesuffix(" --port 8001").removesuffix(" 8001")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def django_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands of the page make of an empty directory; six seconds, so they are typed once."""
    written = Written("django.md", tmp_path_factory.mktemp("django"))
    with (written.directory / "site_settings.py").open("a") as file:
        file.write(QUICK_PASSWORDS)
    for command in written.commands("The project"):
        written.type(command)
    return written.directory


@pytest.fixture
def site(framework: str, tmp_path: Path, stack: ExitStack, request: pytest.FixtureRequest) -> Site:
    written = Written(f"{framework}.md", tmp_path)
    if framework == "django":
        made: Path = request.getfixturevalue("django_project")
        shutil.copytree(made, written.directory, dirs_exist_ok=True)
    return Site(written, stack)


@pytest.fixture
def celery(tmp_path: Path, stack: ExitStack) -> Site:
    redis = Server(tmp_path)
    stack.callback(redis.stop)
    site = Site(Written("celery.md", tmp_path), stack)
    site.variables = {"CELERY_BROKER_URL": redis.url}
    return site


def order(page: Page, url: str, *, password: bool = False) -> None:
    """Do what the page is for: open it, log in, and order a report."""
    page.goto(url)
    expect(page.locator("#state")).to_contain_text("disconnected")  # nobody is logged in, and that is final
    page.fill("[name=name]", "alice")
    if password:
        page.fill("[name=password]", "secret")
    page.click("#login")
    expect(page.locator("#state")).to_contain_text("connected (connected)")
    page.click("#order")
    expect(page.locator("#heard")).to_contain_text("report 7 is ready")


def test_in_one_process_a_push_arrives(framework: str, site: Site, page: Page) -> None:
    order(page, site.in_one_process(), password=framework == "django")
    if framework == "django":
        doctor, push = site.written.commands("Commands")
        assert "1 worker" in site.written.type(doctor)
        assert site.written.type(push).startswith("#1 #")
        expect(page.locator("#heard")).to_contain_text("report 8 is ready")


def test_in_two_processes_a_push_arrives(framework: str, site: Site, page: Page) -> None:
    order(page, site.in_two_processes(PORT_OPTIONS[framework]), password=framework == "django")


def test_in_production_a_push_is_stored_by_an_application_of_several_processes(
    tmp_path: Path, stack: ExitStack
) -> None:
    written = Written("fastapi.md", tmp_path)
    serve, application = written.commands("In production")
    gateway = stack.enter_context(written.gateway(serve, **KEYS))
    command = application.removesuffix(" --port 5000")
    port = stack.enter_context(written.server(command, "--port {port}", MESSAGEFLOW_URL=gateway.url, **KEYS))
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as page:
        assert page.get("/login", params={"name": "alice"}).is_redirect
        assert page.get("/socket_auth_token").json()["token"]
        assert page.post("/reports").status_code == 204
    assert Flow(gateway.url, api_key=API_KEY).history("#alice").offset == 1


def test_no_page_starts_an_application_on_the_port_of_the_gateway(framework: str) -> None:
    """Which is what gunicorn and uvicorn have where nobody asks for another."""
    text = (ROOT / "docs" / f"{framework}.md").read_text()
    started = re.findall(r"^\$ ((?:gunicorn|uvicorn) .*)$", text, re.MULTILINE)
    assert started
    assert not [command for command in started if not re.search(r"(:|--port )(?!8000)\d{4}", command)]


def test_a_celery_task_reaches_a_page_of_an_application_under_run(celery: Site, page: Page) -> None:
    order(page, celery.in_one_process("One process for page and gateway"))
    expect(page.locator("#heard")).to_contain_text("report 7: 25 % report 7: 50 % report 7: 75 % ")


def test_a_celery_task_reaches_a_page_of_an_application_of_its_own(celery: Site, page: Page) -> None:
    order(page, celery.in_two_processes(PORT_OPTIONS["flask"]))


def test_a_task_that_is_repeated_pushes_once(celery: Site) -> None:
    program = celery.written.text.split("## When a task is repeated")[1].split("```python\n")[1].split("```")[0]
    with (celery.written.directory / "tasks.py").open("a") as file:
        file.write(program)
    serve, *_ = celery.written.commands("Two processes")
    celery.stack.enter_context(celery.written.gateway(serve))
    check = (
        "import tasks; [tasks.make_invoice('alice', 3) for _ in range(2)]; print(tasks.flow.history('#alice').offset)"
    )
    assert celery.written.type(f'python -c "{check}"').strip() == "1"
