"""What was recorded, and ways to ask for it that say what there was instead.

Pure. Nothing is asserted until `one` or `none` is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from messageflow.core.channels import BROADCAST, PERSONAL_PREFIX
from messageflow.core.stream import Publication
from messageflow.publisher.arguments import User, read_user
from messageflow.typed.kinds import MessageKind, find_kind

SHOWN = 10  # of what was recorded, in a message
TEXT = 200  # characters of each


class Recorded(NamedTuple):
    """One publication, as pages would hear it.

    Args:
        channel: in which; `#alice` is what was pushed to alice, `*` a broadcast.
        user: whom it was pushed to, None for a broadcast and for channels.
        type: of a push or a broadcast, None in channels.
        payload: of a push or a broadcast, None in channels.
        data: all of it.
        tags: words about it.
    """

    channel: str
    user: str | None
    type: str | None
    payload: Any
    data: Any
    tags: dict[str, str]

    def __str__(self) -> str:
        if self.type is None:
            return f"publish({self.channel!r}, {self.data!r})"
        whom = f"push({self.user!r}, " if self.user is not None else "broadcast("
        return f"{whom}{self.type!r}, {self.payload!r})"


class RecordedCall(NamedTuple):
    """A call that publishes nothing, such as `revoke`, with what it was given."""

    method: str
    parameters: dict[str, Any]


class Selection:
    """Some of what was recorded, in order. It is what was recorded so far: ask again for what came since.

    Args:
        recorded: what was selected.
        described: how, for messages.
    """

    def __init__(self, recorded: list[Recorded], described: str = "", everything: list[Recorded] | None = None) -> None:
        self.recorded = recorded
        self._described = described
        self._everything = recorded if everything is None else everything

    def __len__(self) -> int:
        return len(self.recorded)

    def __iter__(self) -> Iterator[Recorded]:
        return iter(self.recorded)

    def __getitem__(self, place: int) -> Recorded:
        return self.recorded[place]

    def __bool__(self) -> bool:
        return bool(self.recorded)

    def __repr__(self) -> str:
        return f"<{len(self)} recorded{self._described}>"

    def to(self, user: User) -> Selection:
        """Return what was pushed to a user."""
        name = read_user(user)
        return self._select([each for each in self.recorded if each.user == name], f" to {name!r}")

    def of(self, type: str | type[Any]) -> Selection:
        """Return what has a type; by a class of typed messages, with objects of the class as payloads.

        Raises:
            InvalidMessage: by a class, where something else was pushed as the same type; the message names the field.
        """
        kind = find_kind(type)
        if kind is None:
            return self._select([each for each in self.recorded if each.type == type], f" of {type!r}")
        return self._select(
            [read_payload(each, kind) for each in self.recorded if each.type == kind.type], f" of {kind}"
        )

    def channel(self, name: str) -> Selection:
        """Return what was published in a channel."""
        return self._select([each for each in self.recorded if each.channel == name], f" in {name!r}")

    @property
    def broadcasts(self) -> Selection:
        """What was broadcast."""
        return self._select([each for each in self.recorded if each.channel == BROADCAST], " to everyone")

    @property
    def payloads(self) -> list[Any]:
        """The payloads, in order."""
        return [each.payload for each in self.recorded]

    def one(self) -> Recorded:
        """Return the only one.

        Raises:
            AssertionError: there is none, or there are several; the message shows what was recorded.
        """
        if len(self) != 1:
            raise AssertionError(self._explain("one"))
        return self.recorded[0]

    def none(self) -> None:
        """See that there is none.

        Raises:
            AssertionError: there is.
        """
        if self.recorded:
            raise AssertionError(self._explain("none"))

    def _select(self, chosen: Iterable[Recorded], described: str) -> Selection:
        return Selection(list(chosen), self._described + described, self._everything)

    def _explain(self, expected: str) -> str:
        shown = [f"\n  {str(each)[:TEXT]}" for each in self._everything[:SHOWN]]
        more = len(self._everything) - SHOWN
        rest = f"\n  and {more} more" if more > 0 else ""
        recorded = "".join(shown) + rest if shown else " nothing"
        return f"{expected} was expected{self._described}, there are {len(self)}; recorded was:{recorded}"


def read_payload(recorded: Recorded, kind: MessageKind) -> Recorded:
    """Return a push with an object of its class as payload."""
    return recorded._replace(payload=kind.read(recorded.payload))


class _Action(msgspec.Struct):
    type: str
    payload: Any = None


def read_publication(channel: str, publication: Publication) -> Recorded:
    """Return a publication as it is recorded."""
    data = msgspec.json.decode(publication.data)
    tags = msgspec.json.decode(publication.tags) if publication.tags else {}
    user = channel[1:] if channel.startswith(PERSONAL_PREFIX) else None
    if user is None and channel != BROADCAST:
        return Recorded(channel, None, None, None, data, tags)
    try:
        action = msgspec.convert(data, _Action)
    except msgspec.ValidationError:  # published there, and not pushed
        return Recorded(channel, user, None, None, data, tags)
    return Recorded(channel, user, action.type, action.payload, data, tags)
