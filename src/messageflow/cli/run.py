"""`messageflow run`: a web application and the gateway in one process, on one port."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from messageflow.cli.flags import GatewayCommand, setting_flags
from messageflow.core.codes import RESTART

if TYPE_CHECKING:
    from collections.abc import Callable

    from messageflow.cli.start import Start
    from messageflow.gateway.server import Gateway
    from messageflow.gateway.settings import Settings


@click.command(name="run", cls=GatewayCommand)
@click.argument("target", metavar="MODULE:APP")
@click.option("--reload", is_flag=True, help="Start again when a source file under this directory changes.")
@click.option("--port-file", type=click.Path(path_type=Path), hidden=True)  # where the port is written once it is known
@setting_flags
def command(target: str, reload: bool, port_file: Path | None, config: Path | None, dev: bool, **flags: object) -> None:
    """Run a WSGI or ASGI application and the gateway together.

    MODULE:APP names a Flask, Django, FastAPI or any other WSGI or ASGI application; MODULE:FACTORY() makes one. The
    gateway answers on its own paths, the application on all others. In the application `Flow()` needs no argument.
    Without keys, on loopback, development keys are made as with --dev.
    """
    if reload:
        from messageflow.cli.application import current_directory
        from messageflow.cli.reloading import Reloader

        directory = current_directory()
        click.secho(f"watching {directory} for changes", dim=True, err=True)
        Reloader(directory, [argument for argument in sys.argv[1:] if argument != "--reload"]).run()
    else:
        run_application(target, flags, config, dev=dev, port_file=port_file)


def run_application(
    target: str,
    flags: dict[str, object],
    config: Path | None,
    *,
    dev: bool,
    directory: Path | None = None,
    port_file: Path | None = None,
    on_opened: Callable[[Gateway, object], None] | None = None,
) -> None:
    """Serve an application, found in `directory`, until a signal ends it.

    With one worker `on_opened` is called with the gateway and the application before either is reached.

    Raises:
        ConfigurationError: the settings are unsafe, or there is no such application.
    """
    from messageflow.cli.start import prepare

    start = prepare(flags, config, dev=dev, dev_by_default=True)
    try:
        _run(start, target, directory, port_file, on_opened)
    finally:
        start.withdraw()


def _run(
    start: Start,
    target: str,
    directory: Path | None,
    port_file: Path | None,
    on_opened: Callable[[Gateway, object], None] | None,
) -> None:
    from messageflow.cli.application import as_asgi, load_application
    from messageflow.cli.guest import say_what_is_kept, warn_of_routes
    from messageflow.gateway.paths import Paths

    def announce(port: int) -> None:
        start.announce(port)
        say_what_is_kept(Paths(start.settings.base_path, guest=True), target)
        if port_file is not None:
            port_file.write_text(str(port))

    _equip(start.settings)
    if start.settings.workers > 1:
        from messageflow.gateway.workers.supervisor import supervise, worker_command

        supervise(start.settings, worker_command(), application=target, directory=directory, on_started=announce)
        return
    from messageflow.publisher import inprocess

    inprocess.expect(start.url(start.settings.port))
    try:
        loaded = load_application(target, directory)
        application = as_asgi(loaded, target)
    except BaseException:
        inprocess.uninstall()
        raise

    from messageflow.gateway.server import serve  # the heavy part, after all that can be refused

    def opened(gateway: Gateway) -> None:
        if port_file is not None:  # of `--reload`, which begins the next at once
            gateway.hub.goodbye = RESTART
        url = start.url(gateway.port)
        inprocess.install(gateway.api.call_from_inside, gateway.loop, url, start.settings.api_key)
        os.environ.setdefault("MESSAGEFLOW_URL", url)
        if on_opened is not None:
            on_opened(gateway, loaded)

    def started(gateway: Gateway) -> None:
        announce(gateway.port)
        warn_of_routes(loaded, gateway.paths)

    serve(start.settings, application=application, on_started=started, on_opened=opened)


def _equip(settings: Settings) -> None:
    """Let `Flow()` in the application, and in processes it starts, find the keys and limits of this gateway."""
    os.environ.setdefault("MESSAGEFLOW_API_KEY", settings.api_key)
    os.environ.setdefault("MESSAGEFLOW_BASE_PATH", settings.base_path)
    os.environ.setdefault("MESSAGEFLOW_TOKEN_LIFETIME_LIMIT", f"{settings.token_lifetime_limit:f}")
    if settings.token_secret:
        os.environ.setdefault("MESSAGEFLOW_TOKEN_SECRET", settings.token_secret[0])
