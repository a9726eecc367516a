"""What the parent process tells a worker at its start, as one line of JSON on the worker's standard input.

The pipe stays open as long as the parent lives: its end is how a worker learns that the parent is gone. What may follow
are lines with a new address of the parent's broker.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from messageflow.errors import ConfigurationError
from messageflow.gateway.settings import Settings
from messageflow.version import VERSION

NO_LENDING = -1


class _Version(msgspec.Struct, frozen=True):
    """What can be read of the config of any version."""

    version: str = ""


class WorkerConfig(msgspec.Struct, frozen=True):
    """A worker's start.

    Args:
        settings: of the gateway.
        listener: the descriptor of the socket all workers accept from.
        ready: the descriptor of a pipe on which the worker says that it accepts connections.
        broker: the path of the socket of the parent's broker; empty where each worker speaks to a broker by itself.
        name: the worker's, unique among all that ever were.
        number: counts from 1; a worker that replaces another has the other's.
        application: `module:attribute` of the application served beside the gateway; empty for none.
        directory: where the application is found.
        lending: the descriptor on which it lends connections to its parent; `NO_LENDING` where it cannot.
        version: of the parent.
    """

    settings: Settings
    listener: int
    ready: int
    broker: str
    name: str
    number: int
    application: str = ""
    directory: Path | None = None
    lending: int = NO_LENDING
    version: str = VERSION


def encode_config(config: WorkerConfig) -> bytes:
    """Return the line."""
    return msgspec.json.encode(config, enc_hook=_write_path) + b"\n"


def encode_address(address: str) -> bytes:
    """Return a line that says where the parent's broker is to be found from now on."""
    return address.encode() + b"\n"


def decode_address(lines: bytes) -> str:
    """Return the address in the last of some lines."""
    return lines.splitlines()[-1].decode()


def decode_config(line: bytes) -> WorkerConfig:
    """Return the config in a line.

    Raises:
        msgspec.MsgspecError: it is none.
        ConfigurationError: it is that of another version, of which nothing else can be told.
    """
    theirs = msgspec.json.decode(line, type=_Version).version
    if theirs != VERSION:
        raise ConfigurationError(
            f"this worker is messageflow {VERSION}, its gateway {theirs or 'an older one'}: another version was "
            "installed while it ran. Restart the gateway"
        )
    return msgspec.json.decode(line, type=WorkerConfig, dec_hook=_read_path)


def _write_path(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} in a config")


def _read_path(kind: type[Any], value: Any) -> Any:
    if kind is Path:
        return Path(value)
    raise NotImplementedError(f"{kind.__name__} in a config")
