"""How `serve` and `run` get from flags to settings a gateway may start with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import click
import msgspec

from messageflow.cli.secret import fresh_secret
from messageflow.cli.version import version
from messageflow.gateway.safety import check_settings, is_loopback
from messageflow.gateway.settings import Settings
from messageflow.gateway.sources import load_settings
from messageflow.publisher.discovery import DevFile, load_dev_file, write_dev_file


class Start(NamedTuple):
    """Settings that were checked, and the file of the development keys, if any were made."""

    settings: Settings
    dev_file: Path | None

    @property
    def url(self) -> str:
        """Where programs on this machine reach the gateway."""
        return local_url(self.settings)


def local_url(settings: Settings) -> str:
    """Return the address of a gateway as programs on its machine write it."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    scheme = "https" if settings.tls_cert else "http"
    return f"{scheme}://[{host}]:{settings.port}" if ":" in host else f"{scheme}://{host}:{settings.port}"


def prepare(flags: Mapping[str, object], config: Path | None, *, dev: bool, dev_by_default: bool = False) -> Start:
    """Read the settings, make development keys where they are wanted, and refuse what is unsafe.

    Args:
        flags: the flags given, by option name.
        config: the TOML file.
        dev: whether `--dev` was given.
        dev_by_default: whether a start on loopback without any keys counts as one with `--dev`.

    Raises:
        ConfigurationError: says what is wrong and what to do.
    """
    settings = load_settings(flags, os.environ, config)
    keyless = not (settings.api_key or settings.token_secret or settings.token_public_keys)
    dev = dev or (dev_by_default and keyless and is_loopback(settings.host))
    if not dev:
        check_settings(settings)
        return Start(settings, None)
    return _dev_start(settings)


def _dev_start(settings: Settings) -> Start:
    """Fill in the keys that were not configured: those of the last start, so that pages reconnect, or fresh ones.

    The file holds only the keys made here. One that was configured is not copied to disk.
    """
    kept = load_dev_file(settings.data_dir) or DevFile()
    api_key = "" if settings.api_key else kept.api_key or fresh_secret()
    token_secret = "" if settings.token_secret else kept.token_secret or fresh_secret()
    settings = msgspec.structs.replace(
        settings,
        api_key=settings.api_key or api_key,
        token_secret=settings.token_secret or (token_secret,),
    )
    check_settings(settings, dev=True)
    return Start(settings, write_dev_file(local_url(settings), api_key, token_secret, settings.data_dir))


def announce(start: Start, url: str) -> None:
    """Tell the person at the terminal where the gateway is."""
    keys = f" (dev keys in {_homely(start.dev_file)})" if start.dev_file else ""
    name = click.style(f"messageflow {version()}", bold=True)
    click.echo(f"{name} on {click.style(url, fg='green')}{keys}", err=True)


def _homely(path: Path) -> str:
    try:
        return f"~/{path.relative_to(Path.home())}"
    except (ValueError, RuntimeError):
        return str(path)
