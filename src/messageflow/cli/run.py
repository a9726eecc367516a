"""`messageflow run`: a web application and the gateway in one process, on one port."""

from __future__ import annotations

import importlib
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from messageflow.cli.flags import GatewayCommand, add_setting_flags

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from messageflow.cli.handover import Handover
    from messageflow.cli.start import Start
    from messageflow.gateway.server import Gateway
    from messageflow.gateway.settings import Settings

_LIBRARIES = (
    "a2wsgi",
    "uvicorn.lifespan.on",
    "uvicorn.protocols.http.httptools_impl",
    "uvicorn.protocols.websockets.websockets_sansio_impl",
    "uvloop",
)


@click.command(name="run", cls=GatewayCommand)
@click.argument("target", metavar="MODULE:APP")
@click.option("--reload", is_flag=True, help="Start again when a source file under this directory changes.")
@click.option("--port-file", type=click.Path(path_type=Path), hidden=True)  # where the port is written once it is known
@click.option("--handover", type=int, hidden=True)  # the descriptor of the end of it that `--reload` passes on
@add_setting_flags
def command(
    target: str,
    reload: bool,
    port_file: Path | None,
    handover: int | None,
    config: Path | None,
    dev: bool,
    **flags: object,
) -> None:
    """Run a WSGI or ASGI application and the gateway together.

    MODULE:APP names a Flask, Django, FastAPI or any other WSGI or ASGI application; MODULE:FACTORY() makes one. The
    gateway answers on its own paths, the application on all others. In the application `Flow()` needs no argument.
    Without keys, on loopback, development keys are made as with --dev.
    """
    if reload:
        from messageflow.cli.reloading import Reloader
        from messageflow.gateway.object_loading import current_directory

        directory = current_directory()
        click.secho(f"watching {directory} for changes", dim=True, err=True)
        Reloader(directory, [argument for argument in sys.argv[1:] if argument != "--reload"]).run()
        return
    given = None
    if handover is not None:
        from messageflow.cli.handover import Handover

        given = Handover(handover)
        given.wait(_import_ahead)
    run_application(target, flags, config, dev=dev, port_file=port_file, handover=given)


def run_application(
    target: str,
    flags: dict[str, object],
    config: Path | None,
    *,
    dev: bool,
    directory: Path | None = None,
    port_file: Path | None = None,
    on_opened: Callable[[Gateway, object], None] | None = None,
    handover: Handover | None = None,
) -> None:
    """Serve an application, found in `directory`, until a signal ends it.

    With one worker `on_opened` is called with the gateway and the application before either is reached.

    Raises:
        ConfigurationError: the settings are unsafe, or there is no such application.
    """
    from messageflow.cli.start import prepare

    start = prepare(flags, config, dev=dev, dev_by_default=True)
    if port_file is not None:  # of `--reload`, which begins the next at once
        start.settings = msgspec.structs.replace(start.settings, restarts=True)
    try:
        _run(start, target, directory, port_file, handover, on_opened)
    finally:
        start.withdraw()


def _run(
    start: Start,
    target: str,
    directory: Path | None,
    port_file: Path | None,
    handover: Handover | None,
    on_opened: Callable[[Gateway, object], None] | None,
) -> None:
    from messageflow.cli.application import as_asgi, load_application
    from messageflow.cli.guest import say_what_is_kept, warn_of_routes
    from messageflow.cli.own_gateway import equip, install
    from messageflow.gateway.paths import Paths

    listener: socket.socket | None = None

    def announce(port: int) -> None:
        start.announce(port)
        settings = start.settings
        say_what_is_kept(Paths(settings.base_path, guest=True, classic=settings.classic != "off"), target)
        if port_file is not None:
            port_file.write_text(str(port))
        if handover is not None and listener is not None:
            handover.leave(settings.host, listener, shared=settings.workers > 1)

    equip(start.settings)
    if start.settings.workers > 1:
        listener = _listener(start.settings, handover)
        _supervise(start.settings, target, directory, listener, announce)
        return
    from messageflow.handlers.registry import EVERY
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
        install(gateway, start.url(gateway.port), start.settings.api_key)
        if on_opened is not None:
            on_opened(gateway, loaded)

    def started(gateway: Gateway) -> None:
        announce(gateway.port)
        warn_of_routes(loaded, gateway.paths)

    listener = _listener(start.settings, handover)
    serve(
        start.settings,
        application=application,
        listener=listener,
        on_started=started,
        on_opened=opened,
        handlers=EVERY,
    )


def _supervise(
    settings: Settings,
    target: str,
    directory: Path | None,
    listener: socket.socket | None,
    announce: Callable[[int], None],
) -> None:
    from messageflow.gateway.workers.supervisor import supervise, worker_command

    command = worker_command()
    supervise(settings, command, application=target, directory=directory, listener=listener, on_started=announce)


def _listener(settings: Settings, handover: Handover | None) -> socket.socket | None:
    """Return the socket to listen on where one is handed over, or has to be."""
    from messageflow.gateway.listening import listen

    if handover is None:
        return None
    return handover.take(settings.host, lambda: listen(settings.host, settings.port, settings.spare_ports))


def _import_ahead() -> None:
    """Import what a gateway needs and no application changes.

    What reads the environment as it is imported (prometheus_client) is left for when the application has been imported,
    as without `--reload`.
    """
    import messageflow.brokers.embedded.broker
    import messageflow.cli.start
    import messageflow.gateway.broker_choice
    import messageflow.gateway.front_door.http_connection
    import messageflow.gateway.websocket_connection
    import messageflow.gateway.worker_api
    import messageflow.hub.hub
    import messageflow.publisher.flow  # noqa: F401

    for library in _LIBRARIES:
        with suppress(ImportError):  # what is missing and needed is complained of when it is needed
            importlib.import_module(library)
