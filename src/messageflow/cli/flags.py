"""Flags made from the declared settings, and the help page that lists them under their headings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from messageflow.cli.output import unguarded
from messageflow.errors import ConfigurationError
from messageflow.gateway.settings_docs import sections
from messageflow.gateway.settings_loading import OPTIONS, Option

F = TypeVar("F", bound=Callable[..., Any])

_BY_NAME = {option.name: option for option in OPTIONS}


class GatewayCommand(click.Command):
    """A command that takes every setting as a flag; its help groups them as the reference page does."""

    def invoke(self, ctx: click.Context) -> Any:
        with unguarded():
            return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        records = {p.name: p.get_help_record(ctx) for p in self.get_params(ctx)}
        own = [record for name, record in records.items() if record and name not in _BY_NAME]
        with formatter.section("Options"):
            formatter.write_dl(own)
        for heading, options in sections():
            with formatter.section(heading):
                formatter.write_dl([record for o in options if (record := records[o.name])])


def add_setting_flags(function: F) -> F:
    """Give a command one flag a setting, and `--config` and `--dev` beside them."""
    for option in reversed(OPTIONS):
        function = make_flag(option)(function)
    function = click.option("--dev", is_flag=True, help="Development on loopback: make keys, and say where they are.")(
        function
    )
    return click.option(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        envvar="MESSAGEFLOW_CONFIG",
        help="TOML file with settings and channel namespaces.",
    )(function)


def make_flag(option: Option) -> Callable[[F], F]:
    """Return what gives a command the flag of one setting."""
    default = f"  [{option.default_text}]" if option.default_text else ""
    text = option.meaning + default
    if option.kind.is_switch:
        return click.option(f"{option.flag}/--no-{option.flag[2:]}", option.name, default=None, help=text)
    return click.option(
        option.flag,
        option.name,
        default=None,
        multiple=option.kind.is_list,
        metavar=option.kind.metavar,
        callback=_make_check(option),
        help=text,
    )


def _make_check(option: Option) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Refuse a bad value as bad usage (exit code 2), before anything is read or started."""

    def check(_: click.Context, __: click.Parameter, value: Any) -> Any:
        if value in (None, ()):
            return None
        if option.kind.is_list:
            value = tuple(piece for text in value for piece in text.split(","))
        try:
            option.read(value, option.flag)
        except ConfigurationError as error:
            raise click.UsageError(str(error)) from None
        return value

    return check
