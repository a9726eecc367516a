"""What the parent of several workers says of one that died, and what it tells one that begins."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from messageflow.core.namespaces import NamespaceOptions, Namespaces
from messageflow.gateway.settings import Settings
from messageflow.gateway.token_policy import TokenPolicy
from messageflow.gateway.workers.supervisor import _why
from messageflow.gateway.workers.worker_config import WorkerConfig, decode_config, encode_config
from messageflow.hub.heartbeat_limits import HeartbeatLimits
from messageflow.hub.limits import Limits


@pytest.mark.parametrize(
    ("code", "why"), [(0, "exit status 0"), (3, "exit status 3"), (-9, "SIGKILL"), (-11, "SIGSEGV"), (-99, "signal 99")]
)
def test_why_a_worker_died_is_said_in_words(code: int, why: str) -> None:
    assert _why(code) == why


def test_a_worker_is_told_every_setting() -> None:
    namespaces = Namespaces(
        NamespaceOptions(history_size=1),
        {"chat": NamespaceOptions(presence=True)},
        personal=NamespaceOptions(history_size=2),
        broadcast=NamespaceOptions(history_size=3),
        patterns={"org-*": NamespaceOptions(history_size=4)},
    )
    settings = Settings(
        data_dir=Path("/data"),
        tls_cert=Path("/cert.pem"),
        dev=True,
        trusted_proxies=("10.0.0.0/8",),
        namespaces=namespaces,
        limits=Limits(heartbeat=HeartbeatLimits(ping_interval=7)),
        tokens=TokenPolicy(token_secret=("one", "two")),
    )
    config = WorkerConfig(settings, 3, 4, "ipc:///x/y", "1-abc", 1, "module:app", Path("/project"))
    line = encode_config(config)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    told = decode_config(line)
    for name in Settings.__struct_fields__:
        if name != "namespaces":
            assert getattr(told.settings, name) == getattr(settings, name), name
    for part in ("default", "named", "personal", "broadcast", "patterns"):
        assert getattr(told.settings.namespaces, part) == getattr(namespaces, part)
    assert msgspec.structs.astuple(told)[1:] == msgspec.structs.astuple(config)[1:]


def test_what_is_no_order_is_refused() -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_config(b"")
