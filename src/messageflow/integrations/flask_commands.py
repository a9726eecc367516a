"""`flask messageflow …`: push, broadcast and the others, from a shell, with what the application was told.

Thin: what a command does stands in `terminal`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from messageflow.errors import MessageflowError
from messageflow.extras import needing
from messageflow.integrations.app_settings import ToldSettings
from messageflow.integrations.terminal import describe_receipt, examine, parse_payload
from messageflow.publisher.flow import Flow

with needing("messageflow.integrations.flask", "flask"):
    import click
    import flask
    from flask.cli import AppGroup

commands = AppGroup("messageflow", help="Push to pages, and see whether that works.")


class CommandContext(NamedTuple):
    """What the commands work with: an extension of the application."""

    flow: Flow
    settings: ToldSettings
    login: str


def _find() -> CommandContext:
    context: CommandContext = flask.current_app.extensions["messageflow"].make_command_context()
    return context


@contextmanager
def _explaining() -> Iterator[None]:
    """Tell what people can cause in a sentence, without a traceback."""
    try:
        yield
    except MessageflowError as error:
        raise click.ClickException(str(error)) from error
    except (TypeError, ValueError) as error:
        raise click.UsageError(str(error)) from error


@commands.command("push")
@click.argument("user")
@click.argument("type_", metavar="TYPE")
@click.argument("payload", required=False)
def push(user: str, type_: str, payload: str | None) -> None:
    """Push to a user: TYPE is a name such as report/ready, PAYLOAD is JSON."""
    with _explaining():
        click.echo(describe_receipt(_find().flow.push(user, type_, parse_payload(payload))))


@commands.command("broadcast")
@click.argument("type_", metavar="TYPE")
@click.argument("payload", required=False)
def broadcast(type_: str, payload: str | None) -> None:
    """Push to everyone online."""
    with _explaining():
        click.echo(describe_receipt(_find().flow.broadcast(type_, parse_payload(payload))))


@commands.command("publish")
@click.argument("channel")
@click.argument("data")
def publish(channel: str, data: str) -> None:
    """Publish JSON into a channel."""
    with _explaining():
        click.echo(describe_receipt(_find().flow.publish(channel, parse_payload(data))))


@commands.command("token")
@click.argument("user")
def token(user: str) -> None:
    """Print a token that lets its bearer connect as USER."""
    with _explaining():
        click.echo(_find().flow.token(user, _find().settings.ttl))


@commands.command("revoke")
@click.argument("user")
def revoke(user: str) -> None:
    """Let no token of USER be good any more that was made until now."""
    with _explaining():
        _find().flow.revoke(user)


@commands.command("online")
@click.argument("user")
def online(user: str) -> None:
    """Say whether USER has a connection now."""
    with _explaining():
        click.echo("yes" if _find().flow.online(user) else "no")


@commands.command("doctor")
def doctor() -> None:
    """Look whether the gateway answers, tokens can be made, and somebody tells who is logged in."""
    with _explaining():
        found = list(examine(*_find()))
    for is_well, line in found:
        click.secho(line, fg=None if is_well else "red")
    if not all(is_well for is_well, _ in found):
        click.get_current_context().exit(1)
