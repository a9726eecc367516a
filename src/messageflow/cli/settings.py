"""`messageflow settings`: the reference page, for people without the documentation and for `make docs`."""

from __future__ import annotations

import click


@click.command(name="settings")
def command() -> None:
    """Print every setting with its default and meaning, as Markdown."""
    from messageflow.gateway.settings_docs import reference_page

    click.echo(reference_page(), nl=False)
