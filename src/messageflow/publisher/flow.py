"""`Flow`: the blocking face of the publisher.

Thin on purpose: what a call asks and what its answer means stands in `requests`, when it is repeated in `retry`, how it
is performed in `flow_base`. Here it waits, on blocking I/O.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self, overload

from messageflow.client_io.blocking_io import BLOCKING
from messageflow.client_io.kernel import run_now
from messageflow.publisher import requests
from messageflow.publisher.blocks import SyncBatch, SyncTransaction
from messageflow.publisher.later import Later
from messageflow.publisher.requests import Sender, User
from messageflow.publisher.results import (
    ClientInfo,
    History,
    Node,
    PagePosition,
    Position,
    PresenceStats,
    Receipt,
)
from messageflow.publisher.signing_flow import SigningFlow
from messageflow.typed.message import TypedMessage


class Flow(SigningFlow):
    """Pushes to browsers through a messageflow gateway, or straight through the Redis that gateways share.

        flow = Flow("redis://localhost")
        flow.push("alice", "report/ready", {"id": 7})

    With a Redis no gateway has to be reached and no API key is needed; what is kept of each channel, and how large a
    payload may be, is as the gateways that use it are configured, and one of them has to have used it before.

    Cheap to make, as often as you like: all flows of a process share their connections. May be used from any number
    of threads or greenlets and after a fork.

    Every call returns once the gateway has answered, or raises within `timeout`: a `PublishError` that says what
    happened and what to do, or an `EncodingError` for a payload that is no JSON. An attempt that gets no answer is
    repeated within `timeout`; each publication carries an idempotency key, so that repeating stores it once.

    Args:
        url: where the gateway is; else MESSAGEFLOW_URL, else where this project's development gateway runs, else
            http://127.0.0.1:8000. Without it, a gateway in this same process (`messageflow run`) is used directly.
            A Redis is redis://, rediss:// (TLS), unix://, redis+sentinel://host:port,host:port/service or
            redis+cluster://host:port,host:port; several shards are several of them, apart by spaces and in the order
            the gateways have them.
        api_key: the gateway's key for backends; else MESSAGEFLOW_API_KEY, else the development gateway's.
        token_secret: what `token` signs with; else MESSAGEFLOW_TOKEN_SECRET, else the development gateway's.
        timeout: seconds one call may take, repeated attempts included.
        token_issuer: the `iss` claim of tokens; else MESSAGEFLOW_TOKEN_ISSUER, else none.
        token_audience: the `aud` claim of tokens; else MESSAGEFLOW_TOKEN_AUDIENCE, else none.
        token_lifetime_limit: how long a token may live, as the gateway's setting has it, seconds or a timedelta;
            else MESSAGEFLOW_TOKEN_LIFETIME_LIMIT, else a day.
        prefix: what the gateways' names in Redis begin with; else MESSAGEFLOW_BROKER_PREFIX, else `messageflow`.
        base_path: the gateway's setting of this name, where it is not the default, below the path of `url`; else
            MESSAGEFLOW_BASE_PATH, else `/messageflow/`.

    Raises:
        ConfigurationError: `url` is no URL of a gateway or a Redis, or the library of Redis is not installed.
    """

    _io = BLOCKING

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close this process's idle connections to the gateway. The flow may still be used and opens new ones."""
        self._close()

    def push(
        self,
        user: User,
        type: str | TypedMessage,
        payload: Any = None,
        *,
        idempotency_key: str | None = None,
        exclude: Sender | None = None,
        version: int | None = None,
        version_epoch: str = "",
    ) -> Receipt:
        """Push to one user: to every browser and tab where they are, and to those that come back within the window.

        Args:
            user: who, as their token's `sub` says: text, a whole number or a UUID. `"*"` is refused, since a name
                must never change who is reached: everyone online is for `broadcast`.
            type: what happened, such as `report/ready`; or a typed message, an object of a class that derives from
                `Message` or stands below `@message`, which is type and payload in one and is checked before it leaves.
            payload: anything JSON can carry, and these, which arrive as something else: datetime, date, time and
                timedelta as ISO 8601 text; UUID, Decimal and Path as text; bytes as base64 text; an Enum as its value;
                dataclasses, attrs, msgspec structs and pydantic models as objects; tuples, sets, deques, ranges,
                generators and numpy arrays as arrays; numpy's numbers as numbers and its NaT as null; keys of objects
                as text. NaN and the infinities are refused.
            idempotency_key: names this push when your own code may repeat it; else a fresh one is made.
            exclude: who does not get it, such as the page that caused it: the event of a handler, or the id of a
                client, as a page says it of itself (`flow.client`). What is no client's id excludes nobody.
            version: of the document that the payload is, from 1, such as a number its row has. Where this or a later
                one was pushed to this user before, of whatever type, nothing is stored or delivered, and the receipt
                says where their stream stands.
            version_epoch: versions of another epoch are not compared: change it where versions begin again.

        Returns:
            The receipt: it is stored.

        Raises:
            PublishError: it is not stored, or nobody knows; the subclass and the message say which.
            EncodingError: JSON cannot carry the payload; the message says what of it, by its place.
            InvalidMessage: a typed message is not as its class says; the message names the field.
            TypeError, ValueError: an argument is no user, no type or no key.
        """
        call = requests.push(
            user,
            type,
            payload,
            idempotency_key=idempotency_key,
            exclude=exclude,
            version=version,
            version_epoch=version_epoch,
        )
        return run_now(self._publish(call))

    def broadcast(
        self,
        type: str | TypedMessage,
        payload: Any = None,
        *,
        idempotency_key: str | None = None,
        exclude: Sender | None = None,
        version: int | None = None,
        version_epoch: str = "",
    ) -> Receipt:
        """Push to everyone online. Arguments, result and errors as in `push`."""
        call = requests.broadcast(
            type,
            payload,
            idempotency_key=idempotency_key,
            exclude=exclude,
            version=version,
            version_epoch=version_epoch,
        )
        return run_now(self._publish(call))

    def html(
        self,
        user: User,
        html: Any,
        *,
        target: str,
        swap: str = "inner",
        idempotency_key: str | None = None,
        exclude: Sender | None = None,
    ) -> Receipt:
        """Push HTML to one user: `push(user, Html(html, target, swap))`. Arguments and errors as in both."""
        call = requests.html(user, html, target=target, swap=swap, idempotency_key=idempotency_key, exclude=exclude)
        return run_now(self._publish(call))

    def publish(
        self,
        channel: str,
        data: Any,
        *,
        tags: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        skip_history: bool = False,
        exclude: Sender | None = None,
        version: int | None = None,
        version_epoch: str = "",
        compress: bool = True,
    ) -> Receipt:
        """Publish in a channel, to its subscribers.

        Args:
            channel: its name.
            data: as the payload of `push`; of a typed message `{"type": …, "payload": …}`, as a push of it.
            tags: words about the publication, sent along with it.
            idempotency_key: names this publication when your own code may repeat it; else a fresh one is made.
            skip_history: deliver to those who are there, keep nothing for others.
            exclude: as in `push`.
            version, version_epoch: as in `push`, of the channel; one that keeps no history knows no version.
            compress: whether it may be compressed; False for what is secret, as its length would tell something of it.

        Returns, raises: as `push`.
        """
        call = requests.publish(
            channel,
            data,
            tags=tags,
            idempotency_key=idempotency_key,
            skip_history=skip_history,
            exclude=exclude,
            version=version,
            version_epoch=version_epoch,
            compress=compress,
        )
        return run_now(self._publish(call))

    def batch(self) -> SyncBatch:
        """Collect calls in a `with` block and send them together when it ends; nothing if it raises.

            with flow.batch() as batch:
                for user in users:
                    batch.push(user, "report/ready", {"id": 7})
            batch.receipts  # one a call, in order

        They are sent in order, in requests of at most 1,000 calls and 1 MB, each of which has the flow's timeout. If
        one fails, what came before it is stored: `batch.receipts` says what, and `batch.send()` goes on from there
        with the same idempotency keys. Calls the gateway refuses do not stop the others; `BatchRefused` follows.
        """
        return SyncBatch(self)

    @property
    def later(self) -> Later:
        """`push`, `broadcast` and `publish` that return at once, and raise for no gateway that is away.

            flow.later.push("alice", "report/ready", {"id": 7})

        What is wrong with the arguments is raised at once, and the payload is encoded at once. Then the call waits in
        this process, and a thread sends whatever waits together, in order, again and again for ten minutes. At most
        50,000 calls and 32 MB wait: beyond that the oldest are dropped, where the gateway is away; where it answers, a
        loop that is faster goes on at its pace. Each loss is logged (`messageflow.later`) and counted
        (`flow.later.stats`). The process waits for two seconds at its end; what waits in one that is killed is lost. A
        forked child begins with nothing that waits.

        `flow.later.flush()` waits until what waits now is sent.
        """
        return Later(self._publish_later, self._get_sender, self._timeout)

    def transaction(self) -> SyncTransaction:
        """Collect what is published in a `with` block and send it together when it ends; nothing if it raises.

            with flow.transaction() as transaction:
                flow.push("alice", "order/paid", {"id": 7})
                flow.push("bob", "order/paid", {"id": 7})
            transaction.receipts  # one a call, in order

        It collects `push`, `broadcast` and `publish`, of this flow and of others that were told the same, by this
        thread or task, wherever they stand in the code that the block calls; their receipt says `pending`. Batches and
        other transactions inside join it, and calls of `later` wait for its end too. All other calls are performed at
        once. The end of the block raises what `batch` raises, and `transaction.send()` goes on as there.
        """
        return SyncTransaction(self)

    def subscribe(self, user: User, channel: str) -> None:
        """Subscribe a user's present connections to a channel."""
        run_now(self._perform(requests.subscribe(user, channel)))

    def unsubscribe(self, user: User, channel: str) -> None:
        """End a user's subscriptions to a channel."""
        run_now(self._perform(requests.unsubscribe(user, channel)))

    def disconnect(self, user: User, *, code: int | None = None, reason: str = "") -> None:
        """Close all connections of a user, who is told not to come back unless `code` says otherwise."""
        run_now(self._perform(requests.disconnect(user, code=code, reason=reason)))

    def revoke(self, user: User, *, before: float | None = None, token: str = "", channels: str = "") -> None:
        """Let no token of a user be good any more that was made until now, and close the connections made with one.

        It holds at every gateway within a second, at those that start later, and for as long as such a token can live.
        Tokens made from now on are good: a browser fetches one and is back at once, with the rights it says. So this
        logs a user out everywhere or makes new roles hold; to keep them out, make them no more tokens.

        Compared is the token's `iat`. `token` writes it with fractions of a second; a token of another library that
        has whole seconds counts as made at the beginning of its second, one without `iat` as made before everything.

        Args:
            user: who, as their token's `sub` says.
            before: seconds since 1970: what was made earlier is revoked; else now, by this machine's clock.
            token: one token, or its `jti`: it alone is revoked, such as that of a device that was lost.
            channels: a pattern, such as `org-7:*`: what tokens say of these channels is revoked, and they stand for
                all else. The user's subscriptions there end, but those that the namespace lets everybody have.
        """
        run_now(
            self._perform(
                requests.revoke(user, time.time() if before is None else before, token=token, channels=channels)
            )
        )

    @overload
    def online(self, user: User) -> bool: ...  # type: ignore[overload-overlap]  # text is one user

    @overload
    def online(self, user: Iterable[User]) -> set[User]: ...

    def online(self, user: User | Iterable[User]) -> bool | set[User]:
        """Whether a user has a connection now; of several users, the set of those who have, as you named them.

        Many are asked about in one call, 1,000 at a time.
        """
        return run_now(self._find_online(user))

    def presence(self, channel: str) -> dict[str, ClientInfo]:
        """Return who is subscribed to a channel, by session."""
        return run_now(self._perform(requests.presence(channel)))

    def presence_stats(self, channel: str) -> PresenceStats:
        """Return how many are subscribed to a channel."""
        return run_now(self._perform(requests.presence_stats(channel)))

    def history(
        self,
        channel: str,
        *,
        limit: int = 100,
        since: Position | None = None,
        reverse: bool = False,
    ) -> History:
        """Read what a channel keeps.

        Args:
            channel: its name; `#alice` for what was pushed to alice, `*` for broadcasts.
            limit: how many publications at most; 0 asks for the position alone.
            since: begin after (with `reverse`: before) this position.
            reverse: newest first.
        """
        return run_now(self._perform(requests.history(channel, limit=limit, since=since, reverse=reverse)))

    def position(self, user: User, *, channels: Iterable[str] = ()) -> dict[str, PagePosition]:
        """Return where a user's streams stand now, for a page that is being made: `connect({since: …})`.

        A page that connects since here gets all that is pushed to the user, or broadcast, from now on, however long it
        takes to load. So ask before you read what the page shows: a push between the two then comes once more, where
        the other way round it would be missed.

        Args:
            user: who; what `push` calls them.
            channels: further ones the page will hear; those that keep no history have no position.

        Returns:
            A position for each channel, made of dicts, text and numbers: write it into the page as JSON.
        """
        return run_now(self._perform(requests.position(user, channels)))

    def channel_position(self, channel: str) -> PagePosition:
        """Return where a channel stands now, for state of the application's own that a page is about to be given.

        Ask before you read the state: the page gets what is published from here on, and whatever is published between
        the two is in the state. Both clients take it from their `getState`.

        Raises:
            Refused: the channel keeps no history, so it stands nowhere.
        """
        return run_now(self._perform(requests.channel_position(channel)))

    def history_remove(self, channel: str) -> None:
        """Remove what a channel keeps."""
        run_now(self._perform(requests.history_remove(channel)))

    def channels(self, pattern: str = "") -> dict[str, int]:
        """Return the channels that have subscribers and how many; `pattern` is a glob over their names."""
        return run_now(self._perform(requests.channels(pattern)))

    def info(self) -> tuple[Node, ...]:
        """Return the gateway's workers."""
        return run_now(self._perform(requests.info()))
