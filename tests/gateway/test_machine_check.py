"""What a machine or a container allows a gateway, and what the gateway says of it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from messageflow.cli.main import main
from messageflow.gateway.machine_check import Machine, advise, needed_memory, read_machine, warn_of_memory
from messageflow.gateway.open_files import NO_LIMIT, OpenFilesLimit
from messageflow.gateway.settings import Settings
from messageflow.gateway.settings_loading import replace_values

MIB = 1 << 20
PLENTY = Machine(OpenFilesLimit(1024, 524_288), None, 4096)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "memory"),
    [
        ({}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "536870912\n"}, 512 * MIB),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, None),
        (
            {
                "proc/self/cgroup": "0::/system.slice/messageflow.service\n",
                "sys/fs/cgroup/system.slice/memory.max": "268435456\n",
                "sys/fs/cgroup/system.slice/messageflow.service/memory.max": "536870912\n",
            },
            256 * MIB,
        ),
        (
            {
                "proc/self/cgroup": "9:name=systemd:/a\n4:memory:/docker/a\n0::/\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "134217728\n",
            },
            128 * MIB,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu,memory:/a\n",
                "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "9223372036854771712\n",
            },
            None,
        ),
        ({"proc/self/cgroup": "nonsense\n"}, None),
    ],
)
def test_memory_is_that_of_the_narrowest_control_group(
    files: dict[str, str], memory: int | None, tmp_path: Path
) -> None:
    assert read_machine(write(tmp_path, files)).memory == memory


def test_what_the_kernel_holds_for_a_listening_socket(tmp_path: Path) -> None:
    assert read_machine(write(tmp_path, {"proc/sys/net/core/somaxconn": "128\n"})).waiting == 128
    assert read_machine(tmp_path / "elsewhere").waiting is None


def test_a_worker_takes_what_the_hard_limit_leaves_it() -> None:
    limits = (OpenFilesLimit(64, 128), OpenFilesLimit(1024, 20_000), OpenFilesLimit(1024, 1 << 30), NO_LIMIT)
    assert [PLENTY._replace(files=each).connections for each in limits] == [64, 19_704, 1_048_280, 0]


def test_memory_is_needed_for_streams_once_and_for_slow_readers_by_each_worker() -> None:
    settings = Settings()
    assert needed_memory(settings) == (256 + 256 + 64) * MIB
    assert needed_memory(msgspec.structs.replace(settings, workers=2)) == (256 + 64 + 2 * (256 + 64)) * MIB
    assert needed_memory(replace_values(settings, broker="redis://redis")) == (256 + 64) * MIB


def test_nothing_is_advised_where_there_is_plenty() -> None:
    assert advise(PLENTY, Settings(), 4096) == []
    assert advise(Machine(NO_LIMIT, None, None), Settings(), 4096) == []


def test_each_limit_that_is_too_low_is_named_with_what_to_do() -> None:
    advice = advise(Machine(OpenFilesLimit(1024, 4096), 512 * MIB, 128), Settings(), 4096)
    assert [word in said for word, said in zip(("buffer_memory", "LimitNOFILE", "somaxconn=4096"), advice, strict=True)]
    assert "512 MiB" in advice[0]
    assert "576 MiB" in advice[0]
    assert "3,800 connections" in advice[1]


def test_a_start_with_too_little_memory_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("messageflow.gateway.machine_check.read_machine", lambda: PLENTY._replace(memory=300 * MIB))
    warn_of_memory(replace_values(Settings(), stream_memory=64 * MIB, buffer_memory=64 * MIB))
    assert not caplog.records
    warn_of_memory(Settings())
    assert [record.message for record in caplog.records] == ["memory_is_short"]


def test_the_doctor_looks_at_this_machine() -> None:
    seen = CliRunner().invoke(main, ["doctor"], env={"MESSAGEFLOW_STREAM_MEMORY": "1MiB"})
    assert seen.exit_code == 0
    assert seen.output.startswith("this machine\nopen files of a process: ")
    assert "connections a worker" in seen.output


def test_a_bus_that_no_permission_guards_is_named() -> None:
    settings = replace_values(Settings(), zeromq=("tcp://127.0.0.1:64002", "ipc://@bus", "ipc:///run/app/bus"))
    advice = advise(PLENTY, settings, 4096)
    assert [each.partition(" can push")[0] for each in advice] == [
        "whoever reaches tcp://127.0.0.1:64002",
        "whoever reaches ipc://@bus",
    ]
