"""`messageflow types`: what an application and its pages say, as TypeScript or as an AsyncAPI document.

Owns the file, and whether it is what would be written now. What is in it is made in `messageflow.typed`.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from messageflow.errors import ConfigurationError

STALE = 2  # the exit status of --check, as of the benchmarks'


@click.command(name="types")
@click.argument("modules", nargs=-1, required=True, metavar="MODULE...")
@click.option(
    "--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="The file; otherwise it is printed."
)
@click.option("--asyncapi", is_flag=True, help="An AsyncAPI document instead of TypeScript.")
@click.option("--check", is_flag=True, help="Write nothing; exit status 2 if the file is not what would be written.")
@click.pass_context
def command(ctx: click.Context, modules: tuple[str, ...], output: Path | None, asyncapi: bool, check: bool) -> None:
    """Write the types of the messages in MODULE..., and of what the handlers take that these import.

    `messageflow types app.messages app.views -o messages.ts`, then in the page
    `connect<Pushes, Emits, Calls>(…)`. With --check in CI.
    """
    if check and output is None:
        raise click.UsageError("--check compares with a file: say which with -o")
    words = ["messageflow", "types", *modules, *(["--asyncapi"] if asyncapi else [])]
    text = _make_text(modules, shlex.join(words), asyncapi=asyncapi)
    if output is None:
        click.echo(text, nl=False)
    elif not check:
        _write(output, text)
    elif _read(output) != text:
        click.secho(
            f"messageflow: {output} is not up to date: {shlex.join([*words, '-o', str(output)])}", fg="red", err=True
        )
        ctx.exit(STALE)


def _make_text(modules: Sequence[str], made_by: str, *, asyncapi: bool) -> str:
    from messageflow.typed.asyncapi import render_asyncapi
    from messageflow.typed.schemas import make_contract
    from messageflow.typed.typescript import render_typescript
    from messageflow.typed.vocabulary import gather

    namespaces = [_load(module) for module in modules]
    contract = make_contract(gather(namespaces, _list_taken()))
    return render_asyncapi(contract, modules[0]) if asyncapi else render_typescript(contract, made_by)


def _load(target: str) -> Mapping[str, Any]:
    """Import a module, or what it has: `app:create_app()` for handlers that a factory writes."""
    from messageflow.gateway.object_loading import load_object

    load_object(target, ())
    return vars(sys.modules[target.partition(":")[0]])


def _list_taken() -> Iterator[Any]:
    from messageflow.handlers.registry import EVERY
    from messageflow.handlers.typed_handlers import find_taken
    from messageflow.typed.vocabulary import Taken

    for handler in EVERY.list_named():
        yield Taken(handler.kind == "rpc", handler.key, find_taken(handler.function), handler.function)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
