"""From calls that publish to the items a broker takes: checks, sizes, the action of a push.

Pure, but for the settings it is made with.
"""

from __future__ import annotations

import base64
import binascii
from functools import lru_cache

import msgspec
from msgspec import Raw

from messageflow.api import answers, calls
from messageflow.brokers.base import Stored
from messageflow.core.channels import BROADCAST, personal
from messageflow.core.codes import BAD_REQUEST, UNKNOWN_CHANNEL, ErrorCode
from messageflow.core.exclusion import is_client_id
from messageflow.core.json import UnsafeJSON, check_readable, check_utf8, compact, explain
from messageflow.core.namespaces import NamespaceOptions, Namespaces
from messageflow.core.stream import DELTA, SECRET, Item, Retention
from messageflow.core.users import explain_user, is_user
from messageflow.core.versions import Version
from messageflow.errors import Picklable

KEY_BYTES = 255  # of an idempotency key, which is remembered as long as the window is
KEY_CHARACTERS = KEY_BYTES // 4  # that are never more bytes
TYPE_BYTES = 1024  # of the type of a push

_encode = msgspec.json.Encoder().encode

Versioned = calls.PublishCall | calls.BroadcastCall | calls.PushCall | calls.BroadcastPushCall

_read_tags = msgspec.json.Decoder(dict[str, str]).decode


class CallRefused(Picklable, Exception):
    """A call that is not carried out: the error to answer, and the HTTP status where it is not 200."""

    def __init__(self, error: ErrorCode, message: str = "", *, status: int = 200) -> None:
        super().__init__(message or error.message)
        self.code = error.code
        self.status = status


class Publishing:
    """Makes items of calls.

    Args:
        namespaces: the options of every channel.
        size_limit: bytes of JSON one publication may have, data and tags together.
    """

    def __init__(self, namespaces: Namespaces, size_limit: int) -> None:
        self._namespaces = namespaces
        self._size_limit = size_limit
        self._personal = _make_retention(namespaces.personal)
        self._broadcast = _make_retention(namespaces.broadcast)

    def publish(self, call: calls.PublishCall | calls.BroadcastCall, channel: str) -> Item:
        """Return what a publish into `channel` stores.

        Raises:
            CallRefused: the channel is unknown, or the data or tags missing, malformed or too large, or the key is.
            UnsafeJSON: some receiver could not read it.
        """
        options = self._options(channel)
        tags = compact(bytes(call.tags)) if call.tags else b""
        if tags:
            tags = _check_tags(tags)
        data = self._data(call.data, call.b64data, beside=len(tags))
        if options.publication_data_format == "json_object" and not data.startswith(b"{"):
            raise CallRefused(BAD_REQUEST, f"the channel {channel!r} takes JSON objects only")
        retention = Retention(0, 0) if call.skip_history else _make_retention(options)
        key, exclude = _check_key(call.idempotency_key), _read_client(call.exclude)
        flags = DELTA * call.delta | SECRET * (not call.compress)
        return Item(channel, data, retention, key, b"", tags, exclude, _read_version(call), flags)

    def push(self, call: calls.PushCall) -> Item:
        """Return what a push stores: an action in the user's personal channel.

        Raises:
            CallRefused: there is no such user, no type, or the payload is too large.
        """
        user = call.user if isinstance(call.user, str) else str(call.user)
        if not is_user(user):
            check_user(user, "to reach everyone, call broadcast_push")
        data = self._action(call.type, call.payload)
        key = call.idempotency_key
        if len(key) > KEY_CHARACTERS:
            _check_key(key)
        tags = self._take_tags(call.tags, data) if call.tags else b""
        exclude, version = call.exclude and _read_client(call.exclude), _read_version(call) if call.version else None
        return Item(personal(user), data, self._personal, key, b"", tags, exclude, version)

    def broadcast_push(self, call: calls.BroadcastPushCall) -> Item:
        """Return what a push to everyone stores.

        Raises:
            CallRefused: it has no type, or the payload is too large.
        """
        data = self._action(call.type, call.payload)
        tags = self._take_tags(call.tags, data) if call.tags else b""
        key, exclude = _check_key(call.idempotency_key), _read_client(call.exclude)
        return Item(BROADCAST, data, self._broadcast, key, b"", tags, exclude, _read_version(call))

    def check_carried(self, raw: Raw) -> bytes | None:
        """Return JSON that is sent beside publications, such as what others see of a client; None for none.

        Raises:
            CallRefused: it is too large.
            UnsafeJSON: some receiver could not read it.
        """
        if not raw:
            return None
        data = compact(bytes(raw))
        self._check_size(len(data))
        check_readable(data)
        return data

    def _action(self, type_: str, payload: Raw) -> bytes:
        body = b"null"
        if payload:
            body = compact(bytes(payload))
            if len(body) > self._size_limit:
                self._check_size(len(body))
            check_readable(body)
        return _begin_action(type_) + body + b"}"

    def _take_tags(self, raw: Raw, beside: bytes) -> bytes:
        tags = _check_tags(compact(bytes(raw)))
        self._check_size(len(beside) + len(tags))
        return tags

    def _check_size(self, size: int) -> None:
        if size > self._size_limit:
            raise CallRefused(
                BAD_REQUEST,
                f"the payload has {size} bytes of JSON, over the limit of {self._size_limit}: push an identifier "
                "and let the browser fetch the rest, or raise payload_size_limit",
                status=413,
            )

    def _data(self, raw: Raw, encoded: str, beside: int = 0) -> bytes:
        if raw:
            data = compact(bytes(raw))
        else:
            self._check_size(len(encoded) * 3 // 4 - 2)  # before anything is done with it
            data = _decode_base64(encoded)
        if not data:
            raise CallRefused(BAD_REQUEST, "there is no data to publish")
        self._check_size(len(data) + beside)
        check_readable(data)
        return data

    def _options(self, channel: str) -> NamespaceOptions:
        return find_options(self._namespaces, channel)


def _check_tags(tags: bytes) -> bytes:
    """Return tags, none for null.

    Raises:
        CallRefused: they are no object of texts.
        UnsafeJSON: some receiver could not read them.
    """
    if tags == b"null":
        return b""
    try:
        _read_tags(tags)
    except msgspec.ValidationError:
        raise CallRefused(BAD_REQUEST, "tags are an object of strings") from None
    except msgspec.MsgspecError as error:
        raise UnsafeJSON(explain(tags, error)) from None
    return tags


@lru_cache(maxsize=1024)  # an application has few types, and names each very often (benchmarks: push)
def _begin_action(type_: str) -> bytes:
    if not type_:
        raise CallRefused(BAD_REQUEST, "a push needs a type")
    spelled = _encode(type_)
    if len(spelled) > TYPE_BYTES:
        raise CallRefused(BAD_REQUEST, f"the type of a push has at most {TYPE_BYTES} bytes", status=413)
    return b'{"type":%b,"payload":' % spelled


def find_options(namespaces: Namespaces, channel: str) -> NamespaceOptions:
    """Return the options of a channel.

    Raises:
        CallRefused: there is none of this name, or it has no name; the message says why.
    """
    options = namespaces.options(channel)
    if options is None:
        if not channel:
            raise CallRefused(BAD_REQUEST, "the channel is empty")
        raise CallRefused(UNKNOWN_CHANNEL, f"{UNKNOWN_CHANNEL.message} {channel[:60]!r}: {namespaces.explain(channel)}")
    return options


def check_user(user: str, everyone: str) -> None:
    """Refuse what cannot name a user.

    Raises:
        CallRefused: the message says why, and how everyone is reached where that is meant.
    """
    if not is_user(user):
        raise CallRefused(BAD_REQUEST, explain_user(user, everyone))


def make_receipt(channel: str, stored: Stored) -> answers.ReceiptAnswer:
    """Return what a publish answers."""
    return answers.ReceiptAnswer(channel, stored.ack, stored.offset, stored.epoch, stored.tag)


def _check_key(key: str) -> str:
    if len(key) > KEY_BYTES or (not key.isascii() and len(key.encode(errors="replace")) > KEY_BYTES):
        raise CallRefused(BAD_REQUEST, f"an idempotency key has at most {KEY_BYTES} bytes")
    return key


def _read_client(text: str) -> str:
    """Return the id of a client; empty for what can be nobody's, for it may come from a page as it is."""
    return text if text and is_client_id(text) else ""


def _read_version(call: Versioned) -> Version | None:
    """Return the version of the document that a call publishes, None for none."""
    epoch = call.version_epoch
    if len(epoch) > KEY_BYTES:
        raise CallRefused(BAD_REQUEST, f"a version_epoch has at most {KEY_BYTES} characters")
    return Version(call.version, epoch) if call.version else None


def _make_retention(options: NamespaceOptions) -> Retention:
    return Retention(options.history_size, options.history_ttl)


def _decode_base64(encoded: str) -> bytes:
    """Base64 text as JSON. It was inside a string so far, so nobody has looked at it yet."""
    if not encoded:
        return b""
    try:
        data = base64.b64decode(encoded, validate=True)
        check_utf8(data)
        msgspec.json.decode(data, type=Raw)
        return compact(data)
    except (binascii.Error, msgspec.MsgspecError, UnsafeJSON) as error:
        raise CallRefused(BAD_REQUEST, f"b64data is not base64 of JSON: {error}") from None
