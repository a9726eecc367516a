"""The contracts of a broker: streams, delivery, presence, reservations, messages between nodes, and all of them.

The comments are obligations of every implementation; code that needs a part takes that part's contract. The
suites of `messageflow.testing.broker_suite`, one a contract, check them for every backend. Owns what these contracts
exchange, never a backend.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from msgspec import Struct

from messageflow.core.client_info import ClientInfo
from messageflow.core.presence import PresenceCounts
from messageflow.core.protocol import Joined, Left
from messageflow.core.reservations import Reservation
from messageflow.core.stream import Item, Position, Publication
from messageflow.errors import BrokerError

Ack = Literal["memory", "os", "disk", "replicated"]
"""What a receipt means: kept in this process, handed to the operating system, synced to disk, held by other hosts."""


class Stored(Struct, frozen=True, array_like=True, gc=False):
    """The outcome of a publish: where the publication stands. `offset` is 0 in a channel without history."""

    epoch: str
    offset: int
    tag: str
    ack: Ack

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.offset, self.tag)


class HistoryPart(NamedTuple):
    """A part of a stream and the point after its newest publication at the time of reading."""

    publications: list[Publication]
    position: Position


class Sink(Protocol):
    """Where a broker delivers: the hub. Calls come on the event loop, are synchronous and never raise."""

    def on_publication(self, channel: str, epoch: str, publication: Publication) -> None:
        """A publication in a subscribed channel. Per channel in the order of offsets."""

    def on_presence(self, channel: str, push: Joined | Left) -> None:
        """Somebody joined or left a subscribed channel. At most once; of one client in the order of the calls."""

    def on_control(self, message: bytes) -> None:
        """A control message of any node, this one included."""

    def on_question(self, question: bytes) -> bytes:
        """A question to all nodes, see `NodeMessages.survey`; the answer is empty where it means nothing here."""

    def on_doubt(self) -> None:
        """The broker may have missed something for this node: every position is to be checked."""


# Every coroutine of the contracts raises `BrokerError`, and nothing else of its own, when the backend fails.
# Cancelling one leaves its outcome unknown, never the backend broken.


class StreamStore(Protocol):
    """Streams: what was published, numbered, kept for a while and read again."""

    async def publish(self, items: Sequence[Item]) -> list[Stored]:
        """Store the items in order and hand each to every node subscribed to its channel.

        Storing, numbering and handing on are one step per channel: no two nodes ever see another order. When it
        raises, a prefix of the items may be stored. An item whose key was stored before in the same channel within
        the idempotency window is not stored again; its first outcome is returned. In a channel that keeps history, an
        item whose version is outdated (`core.versions`) by what was stored before it is neither stored nor handed on,
        and its key not remembered; where the channel stands is returned. The newest version is known as long as the
        position is, whatever is dropped of the history; items without one leave it as it is.
        """

    async def read_since(
        self, channel: str, position: Position, limit: int | None = None, size: int | None = None
    ) -> HistoryPart:
        """Return what was published after `position`, oldest first, wholly or up to `limit` of it.

        Where a `size` is given, no more is read than about so many bytes of it, as `core.weights` counts them, and at
        least one publication where there is any. The same in `read_page`.

        Raises:
            Unrecoverable: it cannot be given without a gap.
        """

    async def read_page(
        self,
        channel: str,
        offset: int | None = None,
        limit: int = 0,
        size: int | None = None,
        *,
        reverse: bool = False,
    ) -> HistoryPart:
        """Return up to `limit` kept publications after `offset` (before it when `reverse`); 0 only the position."""

    async def remove_history(self, channel: str) -> None:
        """Drop what is kept of `channel`. Its offsets go on."""


Later = Callable[[Stored, BrokerError | None], None]
"""Is told an outcome, or why there is none, in a later step."""


@runtime_checkable
class ImmediateStore(Protocol):
    """What a `StreamStore` may do beside: store without a coroutine."""

    def publish_now(self, item: Item, later: Later) -> Stored | None:
        """Store one item as `publish` does. Return its outcome where that is known in this step.

        Args:
            item: what to store.
            later: where it is not, called once it is; never in this step, and not at all when this raises.

        Raises:
            BrokerError: nothing is stored, or the backend failed; see `StreamStore`.
        """


class Delivery(Protocol):
    """Which channels are delivered to this node's `Sink`."""

    async def subscribe(self, channel: str) -> Position | None:
        """Deliver what is published in `channel`: when this returns, nothing that is stored later can be missed.

        Returns the point after which all is delivered, as `StreamStore.read_page` would have given it then, where the
        backend knows it without asking again; None elsewhere.
        Calls of `subscribe` and `unsubscribe` take effect in the order they were made.
        """

    def unsubscribe(self, channel: str) -> None:
        """Deliver `channel` no longer, soon."""


class PresenceReader(Protocol):
    """Who is present, for those who only ask."""

    async def read_presence(self, channel: str) -> dict[str, ClientInfo]:
        """Return who is in `channel`, by client id, on all nodes."""

    async def count_presence(self, channel: str) -> PresenceCounts:
        """Return how many are in `channel`, on all nodes."""

    async def find_occupied(self, channels: Sequence[str]) -> set[str]:
        """Return those of these channels in which anybody is present, on all nodes. Many cost about what one does."""


class PresenceStore(PresenceReader, Protocol):
    """Presence: who is in which channel, entered by the node they are connected to."""

    async def join(self, channel: str, info: ClientInfo, *, keep: bool, tell: bool) -> None:
        """A connection of this node comes to `channel`.

        `keep` enters it into presence, and again replaces what is known of it; `tell` hands a join to subscribers.
        Calls of `join` and `leave` about one client in one channel come one after the other, never together.
        """

    async def leave(self, channel: str, info: ClientInfo, *, tell: bool) -> None:
        """Take it out again; `tell` hands a leave to subscribers."""


@runtime_checkable
class EntryInOne(Protocol):
    """What a broker may do beside for which each question is a way to another process: two of them in one."""

    async def subscribe_and_join(self, channel: str, info: ClientInfo, *, keep: bool, tell: bool) -> Position | None:
        """Do what `PresenceStore.join` and then `Delivery.subscribe` do, and return what the latter does."""


class ReservationStore(Protocol):
    """Who does what is to be done once, over all nodes: a key is reserved, carried out, settled."""

    async def reserve(self, user: str, key: str, age: float | None = None) -> Reservation:
        """Reserve a key of a user for this node, or return what has become of it, see `core.reservations`.

        `age` is the time in seconds since the key was first shown, None where it was never shown before. It is
        remembered for the idempotency window. Where it cannot be told whether it was reserved, or its node has gone
        without a word, the answer is "unknown", never "mine".
        """

    async def settle(self, user: str, key: str, outcome: bytes | None) -> None:
        """What was reserved has ended; with None it was not done, and may be reserved anew."""


class NodeMessages(Protocol):
    """Messages to all nodes, and questions that all of them answer."""

    async def send_control(self, message: bytes) -> None:
        """Hand a control message to every node, this one included."""

    async def survey(self, question: bytes) -> list[bytes]:
        """Ask every node, this one included, and return the answers of those that gave one in time."""


class Broker(StreamStore, Delivery, PresenceStore, ReservationStore, NodeMessages, Protocol):
    """What a gateway needs of a backend: all contracts, from a start to an end."""

    async def start(self, sink: Sink) -> None:
        """Connect and deliver to `sink` from now on."""

    async def close(self) -> None:
        """Finish what was accepted, then release everything."""

    @property
    def trouble(self) -> str:
        """Why this node should not be given work, in a phrase; empty while all is well. Shown by `/ready`."""

    @property
    def may_be_dead(self) -> bool:
        """Whether other nodes may take this one for dead, and clear up after it, without its knowing yet."""

    def statistics(self) -> dict[str, float]:
        """Return figures for `/metrics`: streams, bytes kept, evictions."""


class Waiter(asyncio.Future[None]):
    """Waits for something that ends in one step for many, such as a group commit.

    Work that was begun without a task (`brokers.eager`) goes on in that very step; a task in the next turn of the loop,
    as with any future.

    Attributes:
        go_on: what goes on with it in the step that ends it; None where a task waits, or nobody.
    """

    go_on: Callable[[], None] | None = None

    def end(self, error: Exception | None) -> None:
        """It has ended, with an error or without. One that was cancelled is let be."""
        if self.done():
            return
        if error is None:
            self.set_result(None)
        else:
            self.set_exception(error)
        if self.go_on is not None:
            self.go_on()


async def own_task() -> None:
    """Return when the caller runs in a task, at once where it does.

    Commands and calls are begun without one (`brokers.eager`), and methods of these contracts with them. One that waits
    in a way that needs a task, as `asyncio.timeout` and `asyncio.current_task` do, begins with this.
    """
    if asyncio.current_task() is None:
        await asyncio.sleep(0)
