"""`messageflow openapi`: the server API as an OpenAPI document, for tools and for `make docs`."""

from __future__ import annotations

import click


@click.command(name="openapi")
def command() -> None:
    """Print the OpenAPI document of the server API, as JSON."""
    from messageflow.api.openapi import make_page

    click.echo(make_page(), nl=False)
