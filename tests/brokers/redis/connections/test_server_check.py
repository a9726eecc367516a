"""What a Redis is found fit for."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from messageflow.brokers.redis.connections.connector import Connector
from messageflow.brokers.redis.connections.server_check import ServerInfo, judge_server
from messageflow.cli.main import main
from messageflow.errors import ConfigurationError
from tests.brokers.redis.conftest import Server

INFO = {"redis_version": "7.0.15", "aof_enabled": "1", "role": "master", "connected_slaves": "0"}
SETTINGS = {"maxmemory": "0", "maxmemory-policy": "noeviction", "appendfsync": "always", "min-replicas-to-write": "0"}


def judged(**changes: str) -> ServerInfo:
    renamed = {name.replace("_policy", "-policy"): value for name, value in changes.items()}
    info = INFO | {k: v for k, v in renamed.items() if k in INFO or k == "valkey_version"}
    return judge_server(info, SETTINGS | {k: v for k, v in renamed.items() if k in SETTINGS})


def test_a_redis_that_syncs_and_never_evicts_needs_no_advice() -> None:
    assert judged() == ServerInfo("Redis 7.0.15", "disk", (), ())
    assert judged(valkey_version="8.1.0").server == "Valkey 8.1.0"


@pytest.mark.parametrize(
    ("changes", "ack", "word"),
    [
        ({"appendfsync": "everysec"}, "os", "last second"),
        ({"aof_enabled": "0"}, "memory", "appendonly yes"),
        ({"maxmemory": "1000", "maxmemory_policy": "allkeys-lru"}, "disk", "set noeviction"),
        ({"connected_slaves": "1"}, "disk", "asynchronous"),
    ],
)
def test_what_could_be_lost_is_said(changes: dict[str, str], ack: str, word: str) -> None:
    found = judged(**changes)
    assert found.ack == ack
    assert word in found.advice[0]
    assert not found.hindrances


@pytest.mark.parametrize(
    ("changes", "word"), [({"redis_version": "5.0.14"}, "too old"), ({"role": "slave"}, "is a replica")]
)
def test_what_hinders_is_said(changes: dict[str, str], word: str) -> None:
    assert word in judged(**changes).hindrances[0]


def test_settings_that_may_not_be_read_are_not_guessed() -> None:
    assert "may not read CONFIG" in judge_server(INFO, {}).advice[0]


@pytest.mark.parametrize(
    "url", ["http://localhost", "localhost:6379", "redis://localhost:port", "redis+sentinel://host:26379"]
)
def test_a_wrong_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError, match="URL cannot be used") as refusal:
        Connector(url, 1.0)
    assert url not in str(refusal.value)


def test_the_doctor_looks_at_a_real_one(server: Server) -> None:
    seen = CliRunner().invoke(main, ["doctor", "--broker", f"redis://127.0.0.1:{server.port}"])
    assert seen.exit_code == 0, seen.output
    assert "Redis" in seen.output
    assert "a receipt means: stored in memory (memory)" in seen.output
    assert "set appendonly yes" in seen.output


def test_the_doctor_says_when_nobody_is_there() -> None:
    seen = CliRunner().invoke(main, ["doctor", "--broker", "redis://127.0.0.1:1"])
    assert seen.exit_code == 1
    assert "Redis cannot be reached" in seen.output
