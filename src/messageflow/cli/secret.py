"""`messageflow secret`: what the gateway asks for when it refuses to start without keys."""

from __future__ import annotations

import secrets

import click

_BYTES = 32


def make_secret() -> str:
    """Return a new secret from the system's generator: 256 bits, safe in a shell, an URL and an environment file."""
    return secrets.token_urlsafe(_BYTES)


@click.command(name="secret")
def command() -> None:
    """Print a fresh secret, for MESSAGEFLOW_API_KEY or MESSAGEFLOW_TOKEN_SECRET (one of its own for each)."""
    click.echo(make_secret())
