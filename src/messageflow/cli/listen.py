"""`messageflow listen`: what a browser of that user would get, one JSON line each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import click
import msgspec

from messageflow.cli.parameters import CHANNELS, URL, Duration, User, arguments


@click.command(name="listen")
@click.option("--user", "-u", required=True, type=User(), help="Whose pushes to listen to.")
@CHANNELS
@URL
@click.option("--count", "-n", type=click.IntRange(min=1), help="Stop after so many.")
@click.option("--timeout", "-t", type=Duration(), help="Stop after this long; an error if --count is not reached.")
def command(user: str, channels: tuple[str, ...], url: str | None, count: int | None, timeout: float | None) -> None:
    """Print what is pushed to a user, one JSON line each.

    The lines go to stdout as they arrive, what happens to the connection goes to stderr. After a lost connection it
    comes back and resumes where it was.
    """
    from messageflow import Flow

    flow = Flow(url)
    with arguments():
        flow.token(user, channels=channels)
    asyncio.run(_listen(flow.url, lambda: flow.token(user, channels=channels), user, count, timeout))


async def _listen(url: str, token: Callable[[], str], user: str, count: int | None, timeout: float | None) -> None:
    from messageflow.cli.listen_protocol import Accepted, Event, Missed
    from messageflow.cli.subscriber import Subscriber
    from messageflow.errors import GatewayUnreachable

    printed = 0
    state = "no connection was made"

    def heard(event: Event) -> bool:
        nonlocal printed, state
        if isinstance(event, Accepted):
            state = "the connection stood"
            _note(f"listening as {user}")
            return True
        if isinstance(event, Missed):
            for channel in event.channels:
                _note(f"the history of {channel} no longer reaches back: something was missed")
            return True
        click.echo(format_line(event))
        printed += 1
        return printed != count

    try:
        async with asyncio.timeout(timeout):
            await Subscriber(url, token, heard, _note).run()
    except TimeoutError:
        if count is not None or state.startswith("no"):
            wanted = f" of {count}" if count else ""
            raise GatewayUnreachable(f"{printed}{wanted} arrived within {timeout:g} s ({state})") from None


def format_line(event: object) -> str:
    """Return an event as the line that is printed."""
    from messageflow.cli.listen_protocol import Arrived, SomebodyJoined, SomebodyLeft

    if isinstance(event, Arrived):
        return msgspec.json.encode(event).decode()
    if isinstance(event, SomebodyJoined | SomebodyLeft):
        kind = "join" if isinstance(event, SomebodyJoined) else "leave"
        return msgspec.json.encode({"channel": event.channel, kind: event.info}).decode()
    raise TypeError(f"no line for {event!r}")


def _note(text: str) -> None:
    click.secho(text, dim=True, err=True)
