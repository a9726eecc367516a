"""How `serve` and `run` get from flags to settings a gateway may start with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import click
import msgspec

from messageflow.cli.secret import make_secret
from messageflow.core.gateway_paths import BASE_PATH
from messageflow.errors import MessageflowError
from messageflow.gateway.certificate_check import check_certificate
from messageflow.gateway.hosts import is_loopback
from messageflow.gateway.settings import Settings
from messageflow.gateway.settings_check import check_settings
from messageflow.gateway.settings_loading import load_settings, replace_values
from messageflow.publisher.discovery import DevFile, load_dev_file, write_dev_file
from messageflow.publisher.projects import locate_state_dir
from messageflow.version import VERSION

PORT = Settings().port
SPARE_PORTS = 100  # tried in development where nobody has asked for one
_UNASKED = -1  # stands for the port as long as nobody has


class Start:
    """Settings that were checked, and the development keys that were made for them, if any.

    Args:
        settings: checked.
        made: the keys.
        in_process: the application runs in the gateway's process, so it can push without the keys being left.
    """

    def __init__(self, settings: Settings, made: DevFile | None = None, *, in_process: bool = False) -> None:
        self.settings = settings
        self.made = made
        self._in_process = in_process
        self._left = ""  # the address that stands in the file
        self._port = 0  # the one that was taken where nobody had asked for one

    def leave_keys(self, url: str) -> Path | None:
        """Leave the address and the keys that were made for other programs of this project.

        Returns:
            The path of the file, or None when no keys were made, or nobody else needs them and there is no place.

        Raises:
            ConfigurationError: it cannot be written.
        """
        if self.made is None or (self._in_process and self.settings.data_dir is None):
            return None
        base_path = "" if self.settings.base_path == BASE_PATH else self.settings.base_path
        self._left = url
        return write_dev_file(
            url,
            self.made.api_key,
            self.made.token_secret,
            self.settings.data_dir,
            base_path=base_path,
            port=self._port or _load_kept(self.settings).port,
            hooks_secret=self.made.hooks_secret,
        )

    def reserve(self) -> None:
        """Leave the keys before there is an address; that of another gateway of this project may still be right.

        Raises:
            ConfigurationError: they cannot be left.
        """
        kept = _load_kept(self.settings)
        self.leave_keys(kept.url)
        self._left = ""

    def url(self, port: int) -> str:
        """Return the address of the gateway that listens on this port."""
        return local_url(self.settings, port)

    def announce(self, port: int) -> None:
        """Tell the person at the terminal where the gateway is, and other programs of the project.

        Args:
            port: the one that was bound, which settings with port 0 do not know.
        """
        url = self.url(port)
        self._port = port if self.settings.spare_ports else 0
        file = self.leave_keys(url)
        keys = f" (dev keys in {_shorten_home(file)})" if file else ""
        if self.settings.port not in (0, port):
            said = f"port {self.settings.port} is taken, so this gateway has {port}; --port asks for one"
            click.secho(said, fg="yellow", err=True)
        click.echo(
            f"{click.style(f'messageflow {VERSION}', bold=True)} on {click.style(url, fg='green')}{keys}", err=True
        )

    def withdraw(self) -> None:
        """Take back the address, for what listens there next may be of another project; the keys stay."""
        try:
            if self._left and _load_kept(self.settings).url == self._left:
                self.leave_keys("")
        except MessageflowError:
            pass  # the directory is gone, and the address with it


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
    keyless = not (settings.api_key or settings.tokens.token_secret or settings.tokens.token_public_keys)
    dev = dev or (dev_by_default and keyless and is_loopback(settings.host))
    if not dev:
        _check(settings)
        return Start(settings)
    unasked = {"data_dir": locate_state_dir(), "port": _UNASKED}
    settings = load_settings(flags, os.environ, config, unasked)
    if settings.port == _UNASKED:
        settings = msgspec.structs.replace(settings, port=_load_kept(settings).port or PORT, spare_ports=SPARE_PORTS)
    start = _fill_in_keys(settings, in_process=dev_by_default)
    _check(start.settings)
    start.reserve()  # now, while there is still a prompt to refuse to
    return start


def _check(settings: Settings) -> None:
    check_settings(settings)
    if settings.tls_cert is not None and settings.tls_key is not None:
        check_certificate(settings.tls_cert, settings.tls_key)


def _fill_in_keys(settings: Settings, *, in_process: bool) -> Start:
    """Fill in the keys that were not configured: those of the last start, so that pages reconnect, or fresh ones.

    Only what was made is left in the file. A key that was configured is not copied to disk.
    """
    kept = _load_kept(settings)
    made = DevFile(
        api_key="" if settings.api_key else kept.api_key or make_secret(),
        token_secret="" if settings.tokens.token_secret else kept.token_secret or make_secret(),
        hooks_secret=""
        if settings.hooks_secret
        else kept.hooks_secret or (make_secret() if settings.hooks_url else ""),
    )
    settings = replace_values(
        settings,
        api_key=settings.api_key or made.api_key,
        token_secret=settings.tokens.token_secret or (made.token_secret,),
        hooks_secret=settings.hooks_secret or tuple(filter(None, (made.hooks_secret,))),
        dev=True,
    )
    return Start(settings, made, in_process=in_process)


def _load_kept(settings: Settings) -> DevFile:
    return (load_dev_file(settings.data_dir) if settings.data_dir else None) or DevFile()


def _shorten_home(path: Path) -> str:
    try:
        return f"~/{path.relative_to(Path.home())}"
    except (ValueError, RuntimeError):
        return str(path)
