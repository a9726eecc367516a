"""`messageflow serve`: the gateway alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from messageflow.cli.flags import GatewayCommand, add_setting_flags

if TYPE_CHECKING:
    from messageflow.cli.start import Start
    from messageflow.gateway.server import Gateway


@click.command(name="serve", cls=GatewayCommand)
@add_setting_flags
def command(config: Path | None, dev: bool, **flags: object) -> None:
    """Run the gateway.

    Every setting is a flag, a MESSAGEFLOW_ variable and a key of the TOML file; flags win. On your own machine
    --dev makes the keys and leaves them where `messageflow push`, `listen` and `Flow()` find them.
    """
    from messageflow.cli.start import prepare

    start = prepare(flags, config, dev=dev)
    try:
        _serve(start)
    finally:
        start.withdraw()


def _serve(start: Start) -> None:
    hooks = start.settings.hooks
    if hooks:
        from messageflow.cli.own_gateway import equip

        equip(start.settings)
    if start.settings.workers > 1:
        from messageflow.gateway.workers.supervisor import supervise, worker_command

        supervise(start.settings, worker_command(), on_started=start.announce)
        return
    from messageflow.gateway.server import serve  # the heavy part, after all that can be refused

    def started(gateway: Gateway) -> None:
        start.announce(gateway.port)

    if not hooks:
        serve(start.settings, on_started=started)
        return
    from messageflow.cli.own_gateway import install
    from messageflow.publisher import inprocess

    def opened(gateway: Gateway) -> None:
        install(gateway, start.url(gateway.port), start.settings.api_key)

    inprocess.expect(start.url(start.settings.port))
    try:
        serve(start.settings, on_started=started, on_opened=opened)
    finally:
        inprocess.uninstall()
