"""`messageflow doctor`: what a broker is fit for, and what to change."""

from __future__ import annotations

import asyncio

import click

from messageflow.cli.receipt import WHERE


@click.command(name="doctor")
@click.option("--broker", "url", required=True, metavar="URL", help="Of a Redis or Valkey, such as redis://localhost.")
@click.option("--prefix", default="messageflow", show_default=True, help="Of the gateway's names there.")
def command(url: str, prefix: str) -> None:
    """Look at a Redis or Valkey: can it be used, what does a receipt mean there, what could be lost?

    Leaves nothing behind. Ends with 1 when it cannot be used.
    """
    from messageflow.brokers.redis.topology.detection import inspect_servers

    found = asyncio.run(inspect_servers(url, prefix))
    for where, inspection in found.items():
        click.secho(f"{where}: {inspection.server}", bold=True)
        click.echo(f"a receipt means: stored {WHERE[inspection.ack]} ({inspection.ack})")
        for hindrance in inspection.hindrances:
            click.secho(f"cannot be used: {hindrance}", fg="red")
        for advice in inspection.advice:
            click.secho(f"to consider: {advice}", fg="yellow")
        if not (inspection.hindrances or inspection.advice):
            click.secho("nothing to change", fg="green")
    if any(inspection.hindrances for inspection in found.values()):
        click.get_current_context().exit(1)
