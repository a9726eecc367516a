"""`messageflow token`: the token of a user, to try a page or a client with."""

from __future__ import annotations

import click

from messageflow.cli.parameters import CHANNELS, Duration, User, arguments


@click.command(name="token")
@click.argument("user", type=User())
@click.option("--ttl", type=Duration(), help="How long it is good for, such as 10m or 1h.")
@CHANNELS
def command(user: str, ttl: float | None, channels: tuple[str, ...]) -> None:
    """Print a token that lets its bearer connect as USER."""
    from messageflow import Flow

    flow = Flow()
    with arguments():
        token = flow.token(user, channels=channels) if ttl is None else flow.token(user, ttl=ttl, channels=channels)
    click.echo(token)
