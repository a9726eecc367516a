"""`messageflow token`: the token of a user, to try a page or a client with."""

from __future__ import annotations

import click

from messageflow.cli.parameters import CHANNELS, Duration, User, arguments


@click.command(name="token")
@click.argument("user", type=User())
@click.option("--ttl", type=Duration(), help="How long it is good for, such as 10m or 1h.")
@CHANNELS
@click.option(
    "--allow", multiple=True, help="Channels in which they may do what, such as news:* or org:*=history; repeatable."
)
def command(user: str, ttl: float | None, channels: tuple[str, ...], allow: tuple[str, ...]) -> None:
    """Print a token that lets its bearer connect as USER."""
    from messageflow import Flow
    from messageflow.publisher.tokens import TTL

    flow = Flow()
    with arguments():
        token = flow.token(user, TTL if ttl is None else ttl, channels=channels, allow=allow)
    click.echo(token)
