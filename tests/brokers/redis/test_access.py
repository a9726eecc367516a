"""Who may use a Redis and how: TLS, users, and what is refused with a sentence that says what to do."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer

import pytest
from click.testing import CliRunner

from messageflow.brokers.base import Broker
from messageflow.cli.main import main
from messageflow.errors import BrokerError
from messageflow.testing.broker_suite import BrokerSuite, RecordingSink, items, until
from tests.brokers.redis.certificates import Authority
from tests.brokers.redis.conftest import broker_at
from tests.brokers.redis.servers import Cluster, Server
from tests.support import running

DOCUMENT = Path(__file__).parents[3] / "docs" / "redis.md"
PASSWORD = "a-password-for-tests"


@pytest.fixture(scope="module")
def secured(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("secured"), certificate=authority.sign("localhost"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def of_another_host(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    certificate = authority.sign("elsewhere.example", addresses=())
    server = Server(tmp_path_factory.mktemp("another"), certificate=certificate)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("locked"), password=PASSWORD)
    yield server
    server.stop()


def doctor(url: str) -> str:
    """Return what the doctor says of a Redis that cannot be used."""
    seen = CliRunner().invoke(main, ["doctor", "--broker", url])
    assert seen.exit_code == 1, seen.output
    return seen.output


def start(url: str, data_dir: Path, *flags: str) -> str:
    """Return all that a gateway says that does not start, since a password may stand in any line of it."""
    done = subprocess.run(
        [sys.executable, "-m", "messageflow.cli", "serve", "--dev", "--port", "0", "--broker", url, *flags],
        env=os.environ | {"MESSAGEFLOW_DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def documented_rules() -> list[str]:
    """The rules of the user that docs/redis.md tells people to make."""
    found = re.search(r"^redis-cli (ACL SETUSER messageflow (?:.*\\\n)*.*)$", DOCUMENT.read_text(), re.MULTILINE)
    assert found
    rules = shlex.split(found[1].replace("\\\n", " "))[3:]
    return [rule for rule in rules if rule != "on" and not rule.startswith(">")]


async def carries(url: str) -> bool:
    """Whether what is published there arrives."""
    sink = RecordingSink()
    broker = broker_at(url)
    await broker.start(sink)
    try:
        await broker.subscribe("x")
        await broker.publish(items("x", 1))
        await until(lambda: len(sink.publications) == 1)
    finally:
        await broker.close()
    return True


# TLS


async def test_streams_travel_over_tls(secured: Server) -> None:
    assert await carries(secured.url)


def test_the_doctor_looks_through_tls(secured: Server) -> None:
    seen = CliRunner().invoke(main, ["doctor", "--broker", secured.url])
    assert seen.exit_code == 0, seen.output
    assert "a receipt means" in seen.output


def test_a_certificate_that_nobody_vouches_for_is_refused(secured: Server, tmp_path: Path) -> None:
    somebody_else = Authority(tmp_path).file
    for url in (
        f"rediss://127.0.0.1:{secured.port}",
        f"rediss://127.0.0.1:{secured.port}?ssl_ca_certs={somebody_else}",
    ):
        assert "?ssl_ca_certs=" in doctor(url)
    assert "?ssl_ca_certs=" in start(f"rediss://127.0.0.1:{secured.port}", tmp_path)


def test_a_certificate_of_another_host_is_refused(of_another_host: Server) -> None:
    assert "its certificate is for another host" in doctor(of_another_host.url)


def test_a_file_of_authorities_that_is_not_there_is_said(secured: Server) -> None:
    assert "ssl_ca_certs" in doctor(f"rediss://127.0.0.1:{secured.port}?ssl_ca_certs=/nowhere.pem")


@pytest.mark.slow
def test_who_speaks_plainly_to_tls_or_tls_to_plain_is_told_of_the_scheme(secured: Server, server: Server) -> None:
    assert "rediss://" in doctor(f"redis://127.0.0.1:{secured.port}")
    assert "redis://" in doctor(f"rediss://127.0.0.1:{server.port}")


@pytest.mark.slow
async def test_a_cluster_is_used_over_tls(authority: Authority, tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, certificate=authority.sign("cluster"))
    try:
        assert await carries(cluster.url)
    finally:
        cluster.stop()


# Users


class TestAUserWithOnlyWhatIsDocumented(BrokerSuite):
    @pytest.fixture
    async def broker(self, server: Server, sink: RecordingSink) -> AsyncIterator[Broker]:
        server.allow("messageflow", "on", f">{PASSWORD}", *documented_rules())
        made = broker_at(server.url_for("messageflow", PASSWORD))
        await made.start(sink)
        yield made
        await made.close()


async def test_a_user_that_may_not_read_the_settings_is_enough_and_said(server: Server) -> None:
    server.allow("messageflow", "on", f">{PASSWORD}", *documented_rules(), "-config|get")
    url = server.url_for("messageflow", PASSWORD)
    seen = await asyncio.to_thread(CliRunner().invoke, main, ["doctor", "--broker", url])
    assert seen.exit_code == 0, seen.output
    assert "allow CONFIG|GET" in seen.output
    assert await carries(url)


async def test_the_documented_user_is_enough_for_a_cluster(shared_cluster: Cluster) -> None:
    for primary in shared_cluster.primaries:
        primary.allow("messageflow", "on", f">{PASSWORD}", *documented_rules())
    assert await carries(shared_cluster.primaries[0].url_for("messageflow", PASSWORD))


def commands() -> list[str]:
    return [rule[1:] for rule in documented_rules() if rule.startswith("+")]


ONLY_IN_A_CLUSTER = {"asking", "cluster|info", "cluster|slots", "spublish", "ssubscribe", "sunsubscribe"}


@pytest.mark.parametrize("name", sorted({*commands()} - {"config|get", *ONLY_IN_A_CLUSTER}))
async def test_a_command_that_a_user_may_not_use_is_named_at_the_start(server: Server, name: str) -> None:
    server.allow("poor", "on", f">{PASSWORD}", *documented_rules(), f"-{name}")
    with pytest.raises(
        BrokerError, match=re.escape(name) if name in ("info", "subscribe", "script|load") else f"add \\+{name};"
    ):
        await broker_at(server.url_for("poor", PASSWORD)).start(RecordingSink())


@pytest.mark.parametrize("pattern", ["~messageflow:*", "&messageflow:*"])
async def test_a_pattern_that_a_user_may_not_use_is_named_at_the_start(server: Server, pattern: str) -> None:
    rules = [rule for rule in documented_rules() if rule != pattern]
    server.allow("poor", "on", f">{PASSWORD}", *rules)
    url = server.url_for("poor", PASSWORD)
    with pytest.raises(BrokerError) as refusal:
        await broker_at(url).start(RecordingSink())
    assert pattern in str(refusal.value)
    assert pattern in await asyncio.to_thread(doctor, url)


async def test_what_is_taken_from_a_user_later_fails_at_once_and_is_named(server: Server) -> None:
    server.allow("poor", "on", f">{PASSWORD}", *documented_rules())
    broker = broker_at(server.url_for("poor", PASSWORD))
    await broker.start(RecordingSink())
    try:
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "poor", "-xadd", "resetchannels")
        with pytest.raises(BrokerError, match=r"NOPERM|may not|can.t run this command"):
            await broker.publish(items("x", 1))
        with pytest.raises(BrokerError, match=r"NOPERM|may not|channels"):
            await broker.subscribe("y")
    finally:
        await broker.close()


def test_a_password_that_is_missing_or_wrong_is_said(locked: Server, tmp_path: Path) -> None:
    missing = f"redis://127.0.0.1:{locked.port}"
    assert "wants a password" in doctor(missing)
    assert "wants a password" in start(missing, tmp_path)
    assert "does not know this user and password" in doctor(locked.url_for("", "another"))
    assert "does not know this user and password" in start(locked.url_for("somebody", PASSWORD), tmp_path)


def test_nothing_that_is_said_repeats_a_password(locked: Server, tmp_path: Path) -> None:
    for said in (doctor(locked.url_for("", "wrong-one")), start(locked.url_for("somebody", "wrong-one"), tmp_path)):
        assert "wrong-one" not in said


# Other ways to it


async def test_a_unix_socket_and_another_database_will_do(own_server: Server, tmp_path: Path) -> None:
    own_server.stop()
    own_server.arguments = ("--unixsocket", str(tmp_path / "redis.sock"))
    own_server.start()
    assert await carries(f"unix://{tmp_path / 'redis.sock'}")
    assert await carries(f"{own_server.url}/2")
    own_server.allow("messageflow", "on", f">{PASSWORD}", *documented_rules())
    url = f"{own_server.url_for('messageflow', PASSWORD)}/2"
    assert "add +select" in await asyncio.to_thread(doctor, url)
    own_server.allow("messageflow", "on", f">{PASSWORD}", *documented_rules(), "+select")
    assert await carries(url)


# What cannot be used


class _TooOld(StreamRequestHandler):
    """Answers as a Redis 5.0 does, as far as it is asked before it is refused."""

    def handle(self) -> None:
        while line := self.rfile.readline():
            words = []
            for _ in range(int(line[1:])):
                size = int(self.rfile.readline()[1:])
                words.append(self.rfile.read(size + 2)[:-2].decode().upper())
            self.wfile.write(self._answer(words))

    @staticmethod
    def _answer(words: list[str]) -> bytes:
        if words[0] == "INFO":
            text = b"redis_version:5.0.14\r\nrole:master\r\naof_enabled:0\r\n"
            return b"$%d\r\n%b\r\n" % (len(text), text)
        if words[:2] == ["CONFIG", "GET"]:
            return b"*0\r\n"
        return b"-ERR unknown command `%b`\r\n" % words[0].encode()


@pytest.fixture
def too_old() -> Iterator[str]:
    ThreadingTCPServer.daemon_threads = True
    with ThreadingTCPServer(("127.0.0.1", 0), _TooOld) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"redis://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_redis_that_is_too_old_is_refused(too_old: str, tmp_path: Path) -> None:
    for said in (doctor(too_old), start(too_old, tmp_path)):
        assert "Redis 5.0.14 is too old: 6.2 is needed" in said


def test_a_replica_is_refused(tmp_path: Path) -> None:
    server = Server(tmp_path, "--replicaof", "127.0.0.1", "1")
    try:
        for said in (doctor(server.url), start(server.url, tmp_path)):
            assert "it is a replica and takes no writes: give the address of its primary, or of Sentinel" in said
    finally:
        server.stop()


async def test_a_redis_whose_memory_is_full_is_refused_at_the_start(own_server: Server, tmp_path: Path) -> None:
    with own_server.client() as client:
        client.config_set("maxmemory", "1")
    with pytest.raises(BrokerError, match="maxmemory"):
        await broker_at(own_server.url).start(RecordingSink())
    assert "maxmemory" in await asyncio.to_thread(start, own_server.url, tmp_path)


def test_a_redis_that_may_drop_streams_is_warned_of(own_server: Server, tmp_path: Path) -> None:
    with own_server.client() as client:
        client.config_set("maxmemory", "100mb")
        client.config_set("maxmemory-policy", "allkeys-lru")
    seen = CliRunner().invoke(main, ["doctor", "--broker", own_server.url])
    assert seen.exit_code == 0
    assert "to consider: maxmemory-policy is allkeys-lru" in seen.output
    with running(("serve", "--broker", own_server.url), tmp_path) as gateway:
        said = [str(event["advice"]) for event in gateway.events("redis_advice")]
        assert any("set noeviction" in advice for advice in said)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2hunter2#x@db:6379/0",
        "redis://:hunter2hunter2/x@db:6379/0",
        "redis://me:hunter2hunter2",
        "redis://:x redis://hunter2hunter2:y@db",
        "redis://one redis://:hunter2hunter2@two/x",
        "redis://:hunter2hunter2@127.0.0.1:1/0",
    ],
)
def test_nobody_reads_any_part_of_a_url_that_cannot_be_used(url: str, tmp_path: Path) -> None:
    for said in (doctor(url), start(url, tmp_path, "--broker-start-timeout", "100ms")):
        assert "hunter2" not in said
        assert "percent-encode" in said or "cannot be reached" in said
