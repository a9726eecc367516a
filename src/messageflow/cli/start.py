"""How `serve` and `run` get from flags to settings a gateway may start with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import click
import msgspec

from messageflow.cli.secret import fresh_secret
from messageflow.core.base_path import BASE_PATH
from messageflow.gateway.hosts import is_loopback
from messageflow.gateway.safety import check_settings
from messageflow.gateway.settings import Settings
from messageflow.gateway.sources import load_settings
from messageflow.gateway.tls import check_certificate
from messageflow.publisher.discovery import DevFile, load_dev_file, write_dev_file
from messageflow.version import VERSION


class Start(NamedTuple):
    """Settings that were checked, and the development keys that were made for them, if any.

    Whoever pushes from within the gateway's process can do without leaving them: `in_process`.
    """

    settings: Settings
    made: DevFile | None = None
    in_process: bool = False

    def leave_keys(self, url: str) -> Path | None:
        """Leave the address and the keys that were made for other programs of this person.

        Returns:
            The path of the file, or None when no keys were made, or nobody else needs them and there is no place.

        Raises:
            ConfigurationError: it cannot be written.
        """
        if self.made is None or (self.in_process and self.settings.data_dir is None):
            return None
        base_path = "" if self.settings.base_path == BASE_PATH else self.settings.base_path
        return write_dev_file(
            url, self.made.api_key, self.made.token_secret, self.settings.data_dir, base_path=base_path
        )

    def url(self, port: int) -> str:
        """Return the address of the gateway that listens on this port."""
        return local_url(self.settings, port)

    def announce(self, port: int) -> None:
        """Tell the person at the terminal where the gateway is.

        Args:
            port: the one that was bound, which settings with port 0 do not know.
        """
        url = self.url(port)
        file = self.leave_keys(url)
        keys = f" (dev keys in {_homely(file)})" if file else ""
        click.echo(
            f"{click.style(f'messageflow {VERSION}', bold=True)} on {click.style(url, fg='green')}{keys}", err=True
        )


def local_url(settings: Settings, port: int) -> str:
    """Return the address of a gateway as programs on its machine write it."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    scheme = "https" if settings.tls_cert else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


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
        _check(settings)
        return Start(settings)
    start = _with_keys(settings)._replace(in_process=dev_by_default)
    _check(start.settings)
    start.leave_keys(local_url(settings, settings.port))  # now, while there is still a prompt to refuse to
    return start


def _check(settings: Settings) -> None:
    check_settings(settings)
    if settings.tls_cert is not None and settings.tls_key is not None:
        check_certificate(settings.tls_cert, settings.tls_key)


def _with_keys(settings: Settings) -> Start:
    """Fill in the keys that were not configured: those of the last start, so that pages reconnect, or fresh ones.

    Only what was made is left in the file. A key that was configured is not copied to disk.
    """
    kept = (load_dev_file(settings.data_dir) if settings.data_dir else None) or DevFile()
    made = DevFile(
        api_key="" if settings.api_key else kept.api_key or fresh_secret(),
        token_secret="" if settings.token_secret else kept.token_secret or fresh_secret(),
    )
    settings = msgspec.structs.replace(
        settings,
        api_key=settings.api_key or made.api_key,
        token_secret=settings.token_secret or (made.token_secret,),
        dev=True,
    )
    return Start(settings, made)


def _homely(path: Path) -> str:
    try:
        return f"~/{path.relative_to(Path.home())}"
    except (ValueError, RuntimeError):
        return str(path)
