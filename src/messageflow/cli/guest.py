"""What `messageflow run` says of the paths it keeps from the application, at its start."""

from __future__ import annotations

import inspect
import logging
import threading

import click

from messageflow.cli.frameworks import covers, find_routes
from messageflow.gateway.paths import Paths

log = logging.getLogger("messageflow.cli")


def say_what_is_kept(paths: Paths, target: str) -> None:
    """Say in one line which paths are the gateway's beside the application named by `target`."""
    *exact, base = paths.kept
    click.secho(f"keeps {', '.join(exact)} and {base}…; every other path is for {target}", dim=True, err=True)


def warn_of_routes(application: object, paths: Paths) -> None:
    """Name the routes of an application that it will never be asked for.

    What has to be imported for it is imported where a request would import it: for WSGI, in a thread.
    """
    if inspect.iscoroutinefunction(getattr(application, "__call__", None)):  # noqa: B004 - which kind it is
        _warn(application, paths)
    else:
        threading.Thread(target=_warn, args=(application, paths), name="routes", daemon=True).start()


def _warn(application: object, paths: Paths) -> None:
    *_, base = paths.kept
    try:
        hidden = {route: kept for route in find_routes(application) for kept in paths.kept if covers(route, kept)}
    except Exception as error:  # of the application's own modules; its first request tells where
        log.debug("routes_not_read", extra={"error": str(error)})
        return
    for route, kept in hidden.items():
        way_out = f"--base-path moves {base}" if kept == base else "give it another path"
        click.secho(f"the application's route {route} is the gateway's under run: {way_out}", fg="yellow", err=True)
