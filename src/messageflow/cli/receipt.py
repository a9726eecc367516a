"""How a receipt is shown: to a person in a phrase, to a program as JSON."""

from __future__ import annotations

import json
from typing import Protocol

import click

WHERE = {
    "memory": "in memory",
    "os": "by the operating system",
    "disk": "on disk",
    "replicated": "on several hosts",
}
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the receipt as one JSON line.")


class ReceiptFields(Protocol):
    """What a receipt says: where the publication is, and how safe."""

    @property
    def channel(self) -> str: ...
    @property
    def offset(self) -> int: ...
    @property
    def epoch(self) -> str: ...
    @property
    def ack(self) -> str: ...


def print_receipt(receipt: ReceiptFields, as_json: bool) -> None:
    """Print a receipt to stdout."""
    if as_json:
        shown = {name: getattr(receipt, name) for name in ("channel", "offset", "epoch", "ack")}
        click.echo(json.dumps(shown))
    elif receipt.offset:
        click.echo(f"{receipt.channel} #{receipt.offset}, stored {WHERE.get(receipt.ack, receipt.ack)}")
    else:
        click.echo(f"{receipt.channel}, sent; the channel keeps no history")
