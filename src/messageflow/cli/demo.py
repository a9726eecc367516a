"""`messageflow demo`: the example application of the repository, which is packaged with the library."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from messageflow.cli.flags import GatewayCommand, add_setting_flags
from messageflow.errors import ConfigurationError

if TYPE_CHECKING:
    from flask import Flask

    from messageflow.gateway.server import Gateway

EXAMPLE = "flask_jobs"
TARGET = "app:app"


@click.command(name="demo", cls=GatewayCommand)
@add_setting_flags
def command(config: Path | None, dev: bool, **flags: object) -> None:
    """Run the example: a Flask application that reads your files in the background and pushes what it finds."""
    from messageflow.cli.run import run_application

    directory = example_directory()
    import flask  # noqa: F401 - asked for here, so that the answer is a sentence and not a traceback

    config = config or directory / "messageflow.toml"
    run_application(TARGET, flags, config, dev=dev, directory=directory, on_opened=bring_network)


def bring_network(gateway: Gateway, application: object) -> None:
    """Give the example a network that its page may cut."""
    from messageflow.cli.demo_network import DemoNetwork

    cast("Flask", application).extensions["network"] = DemoNetwork(gateway.loop)


def example_directory() -> Path:
    """Return where the example is: in the installed package, or in the source tree.

    Raises:
        ConfigurationError: it is in neither.
    """
    package = Path(__file__).parents[1]
    for directory in (package / "examples" / EXAMPLE, package.parents[1] / "examples" / EXAMPLE):
        if (directory / "app.py").is_file():
            return directory
    raise ConfigurationError("the example is not installed here; it is in examples/flask_jobs of the repository")
