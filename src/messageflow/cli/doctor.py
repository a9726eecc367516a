"""`messageflow doctor`: what a broker is fit for, and what to change."""

from __future__ import annotations

import asyncio

import click

from messageflow.cli.receipt import WHERE
from messageflow.errors import ConfigurationError


@click.command(name="doctor")
@click.option("--broker", "url", required=True, metavar="URL", help="Of a Redis or Valkey, such as redis://localhost.")
def command(url: str) -> None:
    """Look at a Redis or Valkey: can it be used, what does a receipt mean there, what could be lost?

    Changes nothing. Ends with 1 when it cannot be used.
    """
    try:
        from messageflow.brokers.redis.inspection import examine
    except ImportError:
        raise ConfigurationError("a Redis broker needs its library: pip install 'messageflow[redis]'") from None
    found = asyncio.run(examine(url))
    click.secho(found.server, bold=True)
    click.echo(f"a receipt means: stored {WHERE[found.ack]} ({found.ack})")
    for hindrance in found.hindrances:
        click.secho(f"cannot be used: {hindrance}", fg="red")
    for advice in found.advice:
        click.secho(f"to consider: {advice}", fg="yellow")
    if not (found.hindrances or found.advice):
        click.secho("nothing to change", fg="green")
    if found.hindrances:
        click.get_current_context().exit(1)
