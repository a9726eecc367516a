"""`manage.py messageflow push …`: the commands of `integrations.terminal`, with what the project was told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from messageflow.errors import MessageflowError
from messageflow.integrations.django.project_flow import find_project
from messageflow.integrations.terminal import describe_receipt, examine, parse_payload
from messageflow.publisher.flow import Flow

COMMANDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "push": ("push to a user", ("user", "type", "payload?")),
    "broadcast": ("push to everyone online", ("type", "payload?")),
    "publish": ("publish JSON into a channel", ("channel", "data")),
    "token": ("print a token that lets its bearer connect as a user", ("user",)),
    "revoke": ("let no token of a user be good any more that was made until now", ("user",)),
    "online": ("say whether a user has a connection now", ("user",)),
    "doctor": ("look whether the gateway answers and tokens can be made", ()),
}


class Command(BaseCommand):  # type: ignore[misc]
    """Finds what is asked, and prints."""

    help = "Push to pages, and see whether that works."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take one of the commands, each with its words."""
        commands = parser.add_subparsers(dest="what", metavar="COMMAND", required=True)
        for name, (about, words) in COMMANDS.items():
            command = commands.add_parser(name, help=about)
            for word in words:
                command.add_argument(word.rstrip("?"), nargs="?" if word.endswith("?") else None)

    def handle(self, *_: Any, what: str, **options: Any) -> None:
        """Carry it out; what people can cause is told in a sentence."""
        try:
            if what == "doctor":
                self._examine()
            else:
                words = {word.rstrip("?"): options[word.rstrip("?")] for word in COMMANDS[what][1]}
                if said := DOING[what](find_project().flow, **words):
                    self.stdout.write(said)
        except (MessageflowError, TypeError, ValueError) as error:
            raise CommandError(str(error)) from error

    def _examine(self) -> None:
        flow, told = find_project().flow, find_project().settings.told
        found = list(examine(flow, told, "django.contrib.auth"))
        for is_well, line in found:
            self.stdout.write(line if is_well else self.style.ERROR(line))
        if not all(is_well for is_well, _ in found):
            raise CommandError("not all is well")


def _push(flow: Flow, user: str, type: str, payload: str | None) -> str:
    return describe_receipt(flow.push(user, type, parse_payload(payload)))


def _broadcast(flow: Flow, type: str, payload: str | None) -> str:
    return describe_receipt(flow.broadcast(type, parse_payload(payload)))


def _publish(flow: Flow, channel: str, data: str) -> str:
    return describe_receipt(flow.publish(channel, parse_payload(data)))


def _make_token(flow: Flow, user: str) -> str:
    return flow.token(user, find_project().settings.told.ttl)


def _revoke(flow: Flow, user: str) -> str:
    flow.revoke(user)
    return ""


def _tell_online(flow: Flow, user: str) -> str:
    return "yes" if flow.online(user) else "no"


DOING: dict[str, Callable[..., str]] = {
    "push": _push,
    "broadcast": _broadcast,
    "publish": _publish,
    "token": _make_token,
    "revoke": _revoke,
    "online": _tell_online,
}
