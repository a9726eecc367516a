"""What a request for a one-way stream asks for: by ticket or token, from where on.

Its client says nothing more, so that its connect command is made of the request.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping

import msgspec

from messageflow.core.channels import BROADCAST, PERSONAL_PREFIX
from messageflow.core.codes import CONNECTION_EXPIRED
from messageflow.core.event_ids import EventId, EventIds
from messageflow.core.namespaces import Namespaces
from messageflow.core.protocol import Command, ConnectRequest, SubscribeRequest
from messageflow.dialects.unidirectional import read_connect
from messageflow.gateway.front_door.head import Head
from messageflow.gateway.http_stream import StreamKind
from messageflow.gateway.http_stream_endpoint import Opening
from messageflow.hub.session import Session
from messageflow.hub.tickets import TicketConnect

_NOT_OURS = SubscribeRequest(recover=True, epoch="?", offset=1)  # it cannot be resumed

NOT_ANY_OTHER_WAY = (
    "A token never goes into a URL, where it ends up in logs. Send it as the header Authorization: Bearer …, or make a "
    "ticket (flow.ticket), which is good once."
)


class StreamProofs:
    """What shows that somebody has had the stream of a ticket.

    Args:
        secret: the same at every node; empty: a stream comes back to its own node alone.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret or secrets.token_bytes(32)

    def prove(self, ticket: str) -> str:
        """Return the proof for a ticket, which nobody makes who has seen the ticket alone."""
        return hmac.new(self._secret, b"stream of " + ticket.encode(), "sha256").hexdigest()[:24]

    def holds(self, ticket: str, proof: str) -> bool:
        """Whether somebody has had the stream. Compared in constant time."""
        return bool(proof) and hmac.compare_digest(self.prove(ticket), proof)


class _Held(dict[str, SubscribeRequest]):
    """What a client holds of channels whose names it does not say: looked up as the server comes to each.

    Args:
        came_with: the id it brings.
        namespaces: the options of every channel.
        newest: whether it wants the newest value of channels that are a value.
    """

    def __init__(self, came_with: EventId | None, namespaces: Namespaces, *, newest: bool) -> None:
        super().__init__()
        self._came_with = came_with
        self._namespaces = namespaces
        self._newest = newest

    def __contains__(self, channel: object) -> bool:
        return channel == BROADCAST or super().__contains__(channel)  # a stream has it, whatever its name

    def get(self, channel: str, default: SubscribeRequest | None = None) -> SubscribeRequest | None:  # type: ignore[override]
        """Return what it holds of a channel."""
        if self._came_with is not None:
            if not self._came_with.is_read:
                return _NOT_OURS
            position = self._came_with.find(channel)
            if position is not None:
                return SubscribeRequest(recover=True, epoch=position.epoch, offset=position.offset, tag=position.tag)
            if channel.startswith(PERSONAL_PREFIX) and self._is_always_told(channel):
                return _NOT_OURS  # it is of another user, whose page now hears this one
        if self._newest and self._is_a_value(channel):
            return SubscribeRequest(recover=True)
        return default

    def _is_always_told(self, channel: str) -> bool:
        """Whether every id of a stream with this channel speaks of it."""
        options = self._namespaces.options(channel)
        return options is not None and options.keeps_history and options.force_recovery

    def _is_a_value(self, channel: str) -> bool:
        if channel.startswith(PERSONAL_PREFIX) or channel == BROADCAST:
            return False
        options = self._namespaces.options(channel)
        return options is not None and options.force_recovery_mode == "cache"


class OneWayOpener:
    """A `http_stream_endpoint.Opener` for clients that only listen.

    Args:
        proofs: of streams that come back.
        namespaces: the options of every channel.
        resumes: whether events have ids, by which their reader comes back.
        forms: what else may be sent, by what it is asked for with `?as=…`.
    """

    def __init__(
        self,
        proofs: StreamProofs,
        namespaces: Namespaces,
        *,
        resumes: bool,
        forms: Mapping[str, StreamKind] | None = None,
    ) -> None:
        self._forms = forms or {}
        self._proofs = proofs
        self._namespaces = namespaces
        self._resumes = resumes

    def is_told(self, head: Head, asked: Mapping[str, str]) -> bool:
        """Whether the head of a request says who connects, so that nothing more has to be said."""
        scheme = head.fields.get(b"authorization", b"").partition(b" ")[0]
        return "ticket" in asked or "cf_connect" in asked or scheme.lower() == b"bearer"

    def prepare(self, head: Head, asked: Mapping[str, str], body: bytes) -> Opening:
        """Read a request.

        Raises:
            ValueError: it cannot be read, or holds what no request may.
        """
        request, proof = self._read(head, asked, body)

        def begin(session: Session) -> None:
            session.receive_commands([Command(id=1, connect=request)], len(body))

        form = self._find_form(asked["as"]) if "as" in asked else None
        if form is not None and isinstance(request, TicketConnect) and request.resumed:
            # A page whose computer slept too long has nobody to tell it so: it fetches itself anew, with a new ticket.
            form = form._replace(late=form.dialect.disconnect(CONNECTION_EXPIRED))
        return Opening(begin, form, ids=EventIds(proof.encode()) if self._resumes else None)

    def _find_form(self, name: str) -> StreamKind:
        if name not in self._forms:
            known = f"write one of {', '.join(self._forms)}" if self._forms else "leave it out"
            raise ValueError(f"as={name:.40} is nothing that is sent here: {known}.")
        return self._forms[name]

    def _read(self, head: Head, asked: Mapping[str, str], body: bytes) -> tuple[ConnectRequest, str]:
        """Return what a request asks for, and what proves later that it was let in.

        Raises:
            ValueError: it cannot be read, or holds what no request may.
        """
        fields = dict(head.headers)
        request = _parse_connect(body or asked.get("cf_connect", "").encode())
        if "token" in asked or (request.token and not body):
            raise ValueError(NOT_ANY_OTHER_WAY)
        # A browser says in the header where it is, and keeps the address that says where its page began.
        last = fields.get(b"last-event-id", b"").decode("latin-1") or asked.get("last_event_id", "")
        came_with = EventId(last) if last and self._resumes else None
        if self._resumes:
            held = _Held(came_with, self._namespaces, newest="newest" in asked)
            request = msgspec.structs.replace(request, subs=held)
        ticket = asked.get("ticket", "")
        if not ticket:
            scheme, _, token = fields.get(b"authorization", b"").decode("latin-1").partition(" ")
            if scheme.lower() == "bearer":
                request = msgspec.structs.replace(request, token=token.strip())
            return request, ""
        resumed = came_with is not None and self._proofs.holds(ticket, came_with.proof)
        by_ticket = TicketConnect(data=request.data, subs=request.subs, ticket=ticket, resumed=resumed)
        return by_ticket, self._proofs.prove(ticket)


def _parse_connect(data: bytes) -> ConnectRequest:
    try:
        return read_connect(data)
    except msgspec.MsgspecError as error:
        raise ValueError(f"The connect request is not one: {error}.") from None
