"""`messageflow version`."""

from __future__ import annotations

from importlib import metadata

import click


def version() -> str:
    """Return the version of the installed package."""
    try:
        return metadata.version("messageflow")
    except metadata.PackageNotFoundError:  # run from a source tree that was never installed
        return "(not installed)"


def print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Carry out `--version`."""
    if wanted:
        click.echo(f"messageflow {version()}")
        ctx.exit()


@click.command(name="version")
def command() -> None:
    """Print the version."""
    click.echo(f"messageflow {version()}")
