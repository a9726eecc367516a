"""`messageflow worker`: one worker of a gateway, started by its parent process alone."""

from __future__ import annotations

import click
import msgspec

from messageflow.cli.output import unguarded
from messageflow.errors import ConfigurationError


@click.command(name="worker", hidden=True)
@unguarded()
def command() -> None:
    """Serve as the parent process says on standard input."""
    from messageflow.gateway.workers.worker import bound_port, read_config, work

    try:
        config = read_config()
    except msgspec.MsgspecError:
        raise ConfigurationError(
            "a worker is started by a gateway, not by hand: use `messageflow serve --workers N`"
        ) from None
    if not (config.application or config.settings.hooks):
        work(config, None)
        return
    from messageflow.cli.application import as_asgi, load_application
    from messageflow.cli.guest import warn_of_routes
    from messageflow.cli.own_gateway import install
    from messageflow.cli.start import local_url
    from messageflow.gateway.server import Gateway
    from messageflow.handlers.registry import EVERY
    from messageflow.publisher import inprocess

    inprocess.expect(local_url(config.settings, bound_port(config.listener)))

    def opened(gateway: Gateway) -> None:
        install(gateway, local_url(config.settings, gateway.port), config.settings.api_key)

    if not config.application:
        work(config, None, opened)
        return
    loaded = load_application(config.application, config.directory)
    application = as_asgi(loaded, config.application)

    def opened_beside(gateway: Gateway) -> None:
        opened(gateway)
        if config.number == 1:  # once for all of them
            warn_of_routes(loaded, gateway.paths)

    work(config, application, opened_beside, EVERY)
