"""`messageflow push`: one push to one user, from a shell."""

from __future__ import annotations

from typing import Any

import click

from messageflow.cli.parameters import EXCLUDE, URL, Json, Name, User, arguments
from messageflow.cli.receipt import AS_JSON, print_receipt


@click.command(name="push")
@click.argument("user", type=User())
@click.argument("type_", metavar="TYPE", type=Name())
@click.argument("payload", type=Json(), default=None, required=False)
@EXCLUDE
@URL
@AS_JSON
def command(user: str, type_: str, payload: Any, exclude: str | None, url: str | None, as_json: bool) -> None:
    """Push to a user: TYPE is a name such as report/ready, PAYLOAD is JSON (- reads it from stdin)."""
    from messageflow import Flow

    with Flow(url) as flow, arguments():
        receipt = flow.push(user, type_, payload, exclude=exclude)
    print_receipt(receipt, as_json)
