"""The `messageflow` command: finds the subcommand, and turns what people can cause into one red sentence.

A subcommand is a module of this package with a click command named `command`. It is imported when it is asked for,
and imports what is heavy inside its function, so that `messageflow push` does not pay for the gateway.
"""

from __future__ import annotations

import importlib
from typing import IO, Any

import click

from messageflow.cli.output import OutputFailed, give_up, guarded, take_standard_streams
from messageflow.cli.version import print_version
from messageflow.errors import MessageflowError
from messageflow.extras import missing

COMMANDS = (
    "serve",
    "run",
    "demo",
    "push",
    "broadcast",
    "publish",
    "listen",
    "token",
    "secret",
    "doctor",
    "bench",
    "settings",
    "openapi",
    "types",
    "version",
)
HIDDEN = ("worker",)
INTERRUPTED = 130
"""What a shell expects of a program ended by Ctrl-C: 128 + SIGINT."""


class Sorry(click.ClickException):
    """An error a person can do something about: its sentence in red on stderr, exit code 1, no traceback."""

    def show(self, file: IO[Any] | None = None) -> None:
        click.secho(f"messageflow: {self.format_message()}", fg="red", file=file, err=file is None)


def _explain(error: ImportError, command: str) -> Exception:
    """What to raise for a library that is missing: a sentence where an extra brings it, else the error itself."""
    sentence = missing(error, f"`messageflow {command}`")
    return Sorry(sentence) if sentence else error


class Commands(click.Group):
    """A group whose commands are imported one at a time."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS + HIDDEN:
            return None
        try:
            module = importlib.import_module(f"messageflow.cli.{cmd_name}")
        except ImportError as error:
            raise _explain(error, cmd_name) from error
        command: click.Command = module.command
        return command

    def main(self, *args: Any, **kwargs: Any) -> Any:
        take_standard_streams()
        try:
            with guarded():
                return super().main(*args, **kwargs)
        except OutputFailed as failed:
            give_up(failed)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except MessageflowError as error:
            raise Sorry(str(error)) from error
        except ImportError as error:
            raise _explain(error, ctx.invoked_subcommand or "") from error
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=print_version, help="Show it.")
def main() -> None:
    """Push messages from any Python web application to any browser.

    In one terminal `messageflow serve --dev`, in a second `messageflow listen --user alice`, in a third
    `messageflow push alice report/ready '{"id": 7}'`. Or see it all at once: `messageflow demo`.
    """


if __name__ == "__main__":
    main()
