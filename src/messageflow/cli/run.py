"""`messageflow run`: a web application and the gateway in one process, on one port."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from messageflow.cli.flags import GatewayCommand, setting_flags

if TYPE_CHECKING:
    from messageflow.cli.start import Start
    from messageflow.gateway.server import Gateway
    from messageflow.gateway.settings import Settings


@click.command(name="run", cls=GatewayCommand)
@click.argument("target", metavar="MODULE:APP")
@click.option("--reload", is_flag=True, help="Start again when a source file under this directory changes.")
@setting_flags
def command(target: str, reload: bool, config: Path | None, dev: bool, **flags: object) -> None:
    """Run a WSGI or ASGI application and the gateway together.

    MODULE:APP names a Flask, Django, FastAPI or any other WSGI or ASGI application; MODULE:FACTORY() makes one. The
    gateway answers on its own paths, the application on all others. In the application `Flow()` needs no argument.
    Without keys, on loopback, development keys are made as with --dev.
    """
    if reload:
        watch([argument for argument in sys.argv[1:] if argument != "--reload"])
    else:
        run_application(target, flags, config, dev=dev)


def run_application(
    target: str, flags: dict[str, object], config: Path | None, *, dev: bool, directory: Path | None = None
) -> None:
    """Serve an application, found in `directory`, until a signal ends it.

    Raises:
        ConfigurationError: the settings are unsafe, or there is no such application.
    """
    from messageflow.cli.start import prepare

    start = prepare(flags, config, dev=dev, dev_by_default=True)
    try:
        _run(start, target, directory)
    finally:
        start.withdraw()


def _run(start: Start, target: str, directory: Path | None) -> None:
    from messageflow.cli.application import as_asgi, load_application
    from messageflow.cli.guest import say_what_is_kept, warn_of_routes

    _equip(start.settings)
    if start.settings.workers > 1:
        from messageflow.gateway.paths import Paths
        from messageflow.gateway.workers.supervisor import supervise, worker_command

        def all_started(port: int) -> None:
            start.announce(port)
            say_what_is_kept(Paths(start.settings.base_path, guest=True), target)

        supervise(start.settings, worker_command(), application=target, directory=directory, on_started=all_started)
        return
    from messageflow.publisher import inprocess

    inprocess.expect()
    try:
        loaded = load_application(target, directory)
        application = as_asgi(loaded, target)
    except BaseException:
        inprocess.uninstall()
        raise

    from messageflow.gateway.server import serve  # the heavy part, after all that can be refused

    def opened(gateway: Gateway) -> None:
        inprocess.install(gateway.api.call_from_inside, gateway.loop)
        os.environ.setdefault("MESSAGEFLOW_URL", start.url(gateway.port))

    def started(gateway: Gateway) -> None:
        start.announce(gateway.port)
        say_what_is_kept(gateway.paths, target)
        warn_of_routes(loaded, gateway.paths)

    serve(start.settings, application=application, on_started=started, on_opened=opened)


def watch(arguments: list[str]) -> None:
    """Run `messageflow` with these arguments, again and again, whenever a source file changes.

    Raises:
        ConfigurationError: there is no current directory.
    """
    import shlex

    from watchfiles import PythonFilter, run_process

    from messageflow.cli.application import current_directory

    directory = current_directory()

    def changed(changes: Iterable[tuple[object, str]]) -> None:
        names = sorted(os.path.relpath(path, directory) for _, path in changes)
        click.secho(f"changed: {', '.join(names)}", dim=True, err=True)

    click.secho(f"watching {directory} for changes", dim=True, err=True)
    run_process(
        directory,
        target=shlex.join([sys.executable, "-m", "messageflow.cli", *arguments]),
        target_type="command",
        watch_filter=PythonFilter(extra_extensions=(".html", ".toml")),
        callback=changed,
        debounce=300,
    )
    raise KeyboardInterrupt  # the only way out of `run_process`, which keeps it to itself


def _equip(settings: Settings) -> None:
    """Let `Flow()` in the application, and in processes it starts, find the keys and limits of this gateway."""
    os.environ.setdefault("MESSAGEFLOW_API_KEY", settings.api_key)
    os.environ.setdefault("MESSAGEFLOW_BASE_PATH", settings.base_path)
    os.environ.setdefault("MESSAGEFLOW_TOKEN_LIFETIME_LIMIT", f"{settings.token_lifetime_limit:f}")
    if settings.token_secret:
        os.environ.setdefault("MESSAGEFLOW_TOKEN_SECRET", settings.token_secret[0])
