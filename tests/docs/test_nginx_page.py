"""docs/nginx.md: its three set-ups in a real nginx with TLS, a browser before it, a gateway and Flask behind."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.brokers.redis.certificates import Authority
from tests.browser.chromium import PATIENCE_MS, own_chromium
from tests.docs.test_frameworks import SCRIPT, order
from tests.docs.written import Written, end, wait_for_port
from tests.gateway.test_nginx import NGINX
from tests.ports import free_port
from tests.support import API_KEY, TOKEN_SECRET

pytestmark = pytest.mark.browser

MAIN = """
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    {block}
}}
"""
APPLICATION_ALONE = """
server {{
    listen 443 ssl;
    server_name www.example.com;
    location / {{ proxy_pass http://127.0.0.1:5000; proxy_set_header Host $http_host; }}
}}
"""
SECTIONS = ["At the root of a name of its own", "Beside the application, on one name", "Under a prefix"]
KEYS = {"MESSAGEFLOW_API_KEY": API_KEY, "MESSAGEFLOW_TOKEN_SECRET": TOKEN_SECRET}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser that finds example.com on this machine."""
    with own_chromium("--host-resolver-rules=MAP *.example.com 127.0.0.1") as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(ignore_https_errors=True)
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


class SetUp:
    """One section of the page, up and running.

    Args:
        section: its heading.
        directory: for all files.
        stack: ends what was started.
        at_home: as the page says to try it on one's own machine, without TLS and keys.

    Attributes:
        url: where a person would go.
    """

    def __init__(self, section: str, directory: Path, stack: ExitStack, *, at_home: bool = False) -> None:
        document = Written("nginx.md", directory)
        text = document.text.split(f"\n## {section}\n")[1].split("\n## ")[0]
        (block,) = re.findall(r"```nginx\n(.*?)```", text, re.DOTALL)
        (script,) = re.findall(r'<script (src="[^"]+")>', text) or [SCRIPT]
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/" if at_home else f"https://www.example.com:{self.port}/"
        site = Written("flask.md", directory / "site")
        serve, listen, keys = self.here(document.commands(section)[0]), f"listen 127.0.0.1:{self.port} ssl", KEYS
        if at_home:
            assert "`messageflow serve --dev` behind `listen 8080;`" in document.text
            serve, listen, keys = "messageflow serve --dev", f"listen 127.0.0.1:{self.port}", {}
        gateway = stack.enter_context(site.gateway(serve, **keys))
        flask = site.commands("Two processes")[1]
        source = self.here(script).removeprefix('src="').removesuffix('"')
        site.change("app.py", "app.secret_key", f'app.config["MESSAGEFLOW_SCRIPT_URL"] = "{source}"\napp.secret_key')
        told = {"MESSAGEFLOW_URL": gateway.url, **keys}
        application = stack.enter_context(site.server(flask, "--port {port}", **told))
        if "127.0.0.1:5000" not in block:
            block += APPLICATION_ALONE.format()
        block = block.replace("127.0.0.1:5000", f"127.0.0.1:{application}")
        block = block.replace("127.0.0.1:8000", f"127.0.0.1:{gateway.port}")
        self._nginx(block.replace("listen 443 ssl", listen), directory, stack)

    def here(self, text: str) -> str:
        return re.sub(r"(https://\w+\.example\.com)", rf"\1:{self.port}", text)

    def _nginx(self, block: str, directory: Path, stack: ExitStack) -> None:
        assert NGINX is not None, "nginx is missing: `make test` installs it"
        certificate = Authority(directory).sign("example")
        config = directory / "nginx.conf"
        paths = {"certificate": certificate.certificate, "key": certificate.key}
        config.write_text(MAIN.format(directory=directory, block=block, **paths))
        process = subprocess.Popen([NGINX, "-c", str(config), "-p", str(directory)], text=True)
        stack.callback(end, process)
        wait_for_port(self.port, process)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("section", SECTIONS)
def test_a_push_arrives_through_nginx(section: str, tmp_path: Path, stack: ExitStack, page: Page) -> None:
    order(page, SetUp(section, tmp_path, stack).url)


@pytest.mark.parametrize("section", SECTIONS[1:])
def test_a_push_arrives_through_nginx_on_ones_own_machine(
    section: str, tmp_path: Path, stack: ExitStack, page: Page
) -> None:
    order(page, SetUp(section, tmp_path, stack, at_home=True).url)


def test_every_section_with_a_set_up_is_tried() -> None:
    text = Path(__file__).parents[2].joinpath("docs/nginx.md").read_text()
    assert [each.split("\n")[0] for each in text.split("\n## ") if "```nginx" in each] == SECTIONS
