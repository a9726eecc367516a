"""Parameters that several commands share."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    Parsed = click.ParamType[Any]
    Text = click.ParamType[str]
    Number = click.ParamType[float]
else:  # generic from click 8.4 on
    Parsed = Text = Number = click.ParamType

URL = click.option("--url", help="The gateway. Otherwise MESSAGEFLOW_URL, or what `--dev` left behind.")
EXCLUDE = click.option("--exclude", metavar="CLIENT", help="The id of a client that does not get it.")
CHANNELS = click.option(
    "--channel", "-c", "channels", multiple=True, help="A channel the server subscribes the user to; repeatable."
)


@contextmanager
def arguments() -> Iterator[None]:
    """Tell that an argument will not do as bad usage: what a program is told by an exception of Python's own."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise click.UsageError(str(error)) from error


class Json(Parsed):
    """JSON, or `-` to read it from stdin."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        text = sys.stdin.read() if value == "-" else value
        try:
            return json.loads(text, parse_constant=_no_constant)
        except ValueError as error:
            hint = f"; a text needs quotes of its own: '{json.dumps(text)}'" if text.isprintable() else ""
            return self.fail(f"this is not JSON: {error}{hint}", param, ctx)


class Name(Text):
    """Text that is not empty, as an unset shell variable would make it."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(value) if value else self.fail("this is empty", param, ctx)


class User(Text):
    """The name of one user, which is neither empty nor everyone."""

    name = "user"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value == "*":
            return self.fail("'*' is everyone, not a user; to reach everyone online: messageflow broadcast", param, ctx)
        return str(value) if value else self.fail("this is empty", param, ctx)


class Duration(Number):
    """Seconds, or text such as `15s`, `10m` or `1h`; more than none."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from messageflow.core.durations import parse_duration
        from messageflow.core.setting_kinds import DURATION

        try:
            seconds = parse_duration(value)
        except ValueError:
            seconds = 0.0
        return seconds or self.fail(f"{value!r} must be {DURATION.expected}, more than 0", param, ctx)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not in JSON")
