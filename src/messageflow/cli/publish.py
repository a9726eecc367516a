"""`messageflow publish`: one publication into a channel, from a shell."""

from __future__ import annotations

from typing import Any

import click

from messageflow.cli.parameters import EXCLUDE, URL, Json, Name, arguments
from messageflow.cli.receipt import AS_JSON, print_receipt


@click.command(name="publish")
@click.argument("channel", type=Name())
@click.argument("data", type=Json())
@EXCLUDE
@URL
@AS_JSON
def command(channel: str, data: Any, exclude: str | None, url: str | None, as_json: bool) -> None:
    """Publish JSON into a channel (- reads it from stdin)."""
    from messageflow import Flow

    with Flow(url) as flow, arguments():
        receipt = flow.publish(channel, data, exclude=exclude)
    print_receipt(receipt, as_json)
