"""`messageflow doctor`: what this machine allows a gateway, or what a broker is fit for, and what to change.

What is looked at, and what is said of it, stands in `gateway.machine_check` and in
`brokers.redis.connections.server_check`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

import click

from messageflow.cli.receipt import WHERE


@click.command(name="doctor")
@click.option("--broker", "url", metavar="URL", help="Of a Redis or Valkey, such as redis://localhost.")
@click.option("--prefix", default="messageflow", show_default=True, help="Of the gateway's names there.")
def command(url: str | None, prefix: str) -> None:
    """Look at this machine: how many connections could a gateway take here, what would end it?

    With --broker look at a Redis or Valkey: can it be used, what does a receipt mean there, what could be lost? Leaves
    nothing behind. Ends with 1 when it cannot be used.
    """
    if url is None:
        _look_at_machine()
    else:
        _look_at_servers(url, prefix)


def _look_at_machine() -> None:
    from messageflow.gateway.listening import BACKLOG
    from messageflow.gateway.machine_check import advise, read_machine
    from messageflow.gateway.relaxations import explain_relaxations
    from messageflow.gateway.settings_loading import load_settings

    machine = read_machine()
    click.secho("this machine", bold=True)
    if machine.files.hard:
        soft, hard = machine.files
        raised = f", raised to {hard:,} at the start" if soft < hard else ""
        click.echo(f"open files of a process: {soft:,}{raised}: {machine.connections:,} connections a worker")
    if machine.memory is not None:
        click.echo(f"memory: {machine.memory // (1 << 20):,} MiB")
    if machine.waiting is not None:
        click.echo(f"connections that wait to be accepted: {min(machine.waiting, BACKLOG):,}")
    settings = load_settings(environ=os.environ)
    _say_advice([*advise(machine, settings, BACKLOG), *explain_relaxations(settings)])


def _look_at_servers(url: str, prefix: str) -> None:
    from messageflow.brokers.redis.topology.detection import inspect_servers

    found = asyncio.run(inspect_servers(url, prefix))
    for where, inspection in found.items():
        click.secho(f"{where}: {inspection.server}", bold=True)
        click.echo(f"a receipt means: stored {WHERE[inspection.ack]} ({inspection.ack})")
        for hindrance in inspection.hindrances:
            click.secho(f"cannot be used: {hindrance}", fg="red")
        _say_advice(inspection.advice, nothing=not inspection.hindrances)
    if any(inspection.hindrances for inspection in found.values()):
        click.get_current_context().exit(1)


def _say_advice(advice: Sequence[str], *, nothing: bool = True) -> None:
    for each in advice:
        click.secho(f"to consider: {each}", fg="yellow")
    if nothing and not advice:
        click.secho("nothing to change", fg="green")
