"""What the commands of the frameworks do, as the lines they print: `flask messageflow …` and the like.

A command of a framework finds its application and parses its arguments; what it does with a flow stands here once.
Prints nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from messageflow.errors import MessageflowError
from messageflow.integrations.app_settings import PREFIX, ToldSettings
from messageflow.publisher.flow import Flow
from messageflow.publisher.results import Receipt


def parse_payload(text: str | None) -> Any:
    """Return the value of JSON that a person typed.

    Raises:
        ValueError: it is none; the message shows how text is quoted.
    """
    try:
        return None if text is None else json.loads(text)
    except ValueError as error:
        raise ValueError(f"this is not JSON: {error}; a text needs quotes of its own: '{json.dumps(text)}'") from None


def describe_receipt(receipt: Receipt) -> str:
    """Return a receipt in a phrase."""
    if not receipt.offset:
        return f"{receipt.channel}, sent; the channel keeps no history"
    return f"{receipt.channel} #{receipt.offset}, stored ({receipt.ack})"


def examine(flow: Flow, settings: ToldSettings, login: str) -> Iterator[tuple[bool, str]]:
    """Look at what an application needs for pushing: what is well or not, and a line about it.

    Args:
        flow: of the application.
        settings: it was told.
        login: how the application knows who is logged in.
    """
    yield _try("gateway", lambda: _count_workers(flow))
    yield _try("tokens", lambda: f"a token was made, good for {_make_token(flow, settings)} s")
    yield True, f"script: pages load {settings.script_url or flow.script_url}"
    yield bool(login), f"login: {login}" if login else "login: nobody tells who is logged in"
    if settings.hooks_path is not None:
        secrets = "with a secret" if settings.find_hooks_secrets() else f"without {PREFIX}HOOKS_SECRET nobody is heard"
        yield True, f"webhook: {settings.hooks_path}, {secrets}"


def _try(about: str, look: Callable[[], str]) -> tuple[bool, str]:
    try:
        return True, f"{about}: {look()}"
    except (MessageflowError, ValueError) as error:
        return False, f"{about}: {error}"


def _count_workers(flow: Flow) -> str:
    workers = flow.info()
    return f"{flow.url} answers, {len(workers)} worker{'s' * (len(workers) != 1)}"


def _make_token(flow: Flow, settings: ToldSettings) -> str:
    flow.token("doctor", settings.ttl)
    return f"{settings.ttl:g}"
