"""`messageflow version`."""

from __future__ import annotations

import click

from messageflow.version import VERSION


def print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Carry out `--version`."""
    if wanted:
        click.echo(f"messageflow {VERSION}")
        ctx.exit()


@click.command(name="version")
def command() -> None:
    """Print the version."""
    click.echo(f"messageflow {VERSION}")
