"""What docs/redis.md tells people to write does what it says, against real servers in the place of those it names."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from click.testing import CliRunner

from messageflow import Flow
from messageflow.cli.main import main
from tests.brokers.redis.certificates import Authority
from tests.brokers.redis.servers import Cluster, Server, Trio
from tests.support import API_KEY, TOKEN_SECRET, running

TEXT = (Path(__file__).parents[2] / "docs" / "redis.md").read_text()
CONSOLE = re.compile(r"^\$ messageflow (\w+) --broker (.+)$", re.MULTILINE)
COMMANDS = [(command, shlex.split(url)[0]) for command, url in CONSOLE.findall(TEXT)]
HOST = re.compile(r"(\w+)\.internal:(\d+)")
AUTHORITY = "/etc/ssl/our-authority.pem"


class Servers:
    """Everything the document speaks of, by the ports it gives."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._directory = directory
        authority = Authority(self._made("authority"))
        certificate = authority.sign("redis")
        self.authority = certificate.authority
        self.plain = [Server(self._made(name)) for name in ("one", "two")]
        self.secured = Server(self._made("secured"), certificate=certificate)
        self.cluster = Cluster(self._made("cluster"))
        self.trio = Trio(self._made("trio"))
        for stop in (*(each.stop for each in self.plain), self.secured.stop, self.cluster.stop, self.trio.stop):
            stack.callback(stop)

    def _made(self, name: str) -> Path:
        path = self._directory / name
        path.mkdir()
        return path

    def here(self, text: str) -> str:
        """Return what the document says with the addresses of these servers."""

        def address(found: re.Match[str]) -> str:
            name, port = found.groups()
            nodes = dict(zip(("any", "a", "b", "c"), [*self.cluster.servers[:1], *self.cluster.servers], strict=True))
            server = {
                "6379": self.plain[name == "two"],
                "6380": self.secured,
                "7000": nodes.get(name),
                "26379": self.trio.sentinel,
            }[port]
            assert server
            return f"127.0.0.1:{server.port}"

        return HOST.sub(address, text).replace(AUTHORITY, str(self.authority))


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with ExitStack() as stack:
        made = Servers(tmp_path_factory.mktemp("servers"), stack)
        [rules] = re.findall(r"```shell\nredis-cli (.*?)```", TEXT, re.DOTALL)
        command = ["redis-cli", "-p", str(made.plain[0].port), *shlex.split(rules.replace("\\\n", " "))]
        assert subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout == "OK\n"
        yield made


def examined(url: str) -> str:
    seen = CliRunner().invoke(main, ["doctor", "--broker", url])
    assert seen.exit_code == 0, seen.output
    return seen.output


def flow_at(url: str) -> Flow:
    return Flow(url, api_key=API_KEY, token_secret=TOKEN_SECRET)


@pytest.mark.slow
@pytest.mark.parametrize(("command", "url"), COMMANDS)
def test_each_command_works(command: str, url: str, servers: Servers, tmp_path: Path) -> None:
    assert "a receipt means" in examined(servers.here(url))
    if command == "doctor":
        return
    with running((command, "--broker", servers.here(url)), tmp_path) as gateway, flow_at(gateway.url) as flow:
        receipts = [flow.push(f"user-{number}", "n", number) for number in range(10)]
        assert all(receipt.offset for receipt in receipts)


def test_the_doctor_answers_as_shown(servers: Servers) -> None:
    [shown] = re.findall(r"\$ messageflow doctor --broker redis://redis\.internal:6379\n(.*?)\$", TEXT, re.DOTALL)
    version = str(servers.plain[0].info("server")["redis_version"])
    assert examined(servers.plain[0].url) == re.sub(r"Redis [\d.]+", f"Redis {version}", servers.here(shown))


def test_the_settings_we_would_have_need_no_advice(tmp_path: Path) -> None:
    [settings] = re.findall(r"```text\n(.*?)```", TEXT, re.DOTALL)
    arguments = [word for line in settings.splitlines() for word in f"--{line}".split()]
    server = Server(tmp_path, *arguments)
    try:
        assert examined(server.url).splitlines()[1:] == ["a receipt means: stored on disk (disk)", "nothing to change"]
    finally:
        server.stop()


def test_pushing_without_a_gateway_works_as_shown(servers: Servers, tmp_path: Path) -> None:
    [code] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    [rights] = re.findall(r"^`(\+get .*)`", TEXT, re.MULTILINE)
    with running(("serve", "--broker", servers.plain[0].url), tmp_path) as gateway:
        exec(servers.here(code), {})
        server = servers.plain[0]
        server.allow("pusher", "on", ">word", "~messageflow:*", "resetchannels", "&messageflow:*", *rights.split())
        with Flow(server.url_for("pusher", "word")) as flow:
            flow.push("alice", "report/ready", {"id": 8})
            flow.broadcast("report/ready", {"id": 9})
            flow.disconnect("bob")
        with flow_at(gateway.url) as flow:
            assert [each.data["payload"]["id"] for each in flow.history("#alice").publications[-2:]] == [7, 8]


def test_all_that_is_stored_is_named(servers: Servers, tmp_path: Path) -> None:
    table = TEXT.partition("## What is stored")[2]
    names = [name for row in re.findall(r"^\| (`messageflow:.*?) \|", table, re.MULTILINE) for name in named(row)]
    with servers.plain[0].client() as client:
        client.flushall()
        with running(("serve", "--broker", servers.plain[0].url), tmp_path) as gateway, flow_at(gateway.url) as flow:
            flow.push("alice", "n", 1)
            stored = [key.decode() for key in client.keys("*")]
    assert "messageflow:{I2FsaWNl}:log" in stored
    assert [key for key in stored if not any(fnmatchcase(key, name) for name in names)] == []


def named(row: str) -> list[str]:
    """Return the names in a row of the table as patterns."""
    first, *others = re.findall(r"`(.+?)`", row)
    whole = [other.replace("…", first.rpartition(":")[0]) for other in others]
    return [re.sub(r"<\w+>", "*", name) for name in (first, *whole)]
