"""The numbers that fields have in the Protobuf form of the native protocol: what the structs do not say themselves.

Names and types stand in `core.protocol`, and nowhere else. What is ours, beside Centrifuge's fields, begins at 1000.

Source: docs/protocol.md, "Protobuf"; client.proto of Centrifuge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from messageflow.core.client_info import ClientInfo
from messageflow.core.codes import Disconnect, ErrorCode
from messageflow.core.protocol import (
    Command,
    ConnectRequest,
    ConnectResult,
    EmptyResult,
    HistoryRequest,
    HistoryResult,
    Joined,
    Left,
    Moved,
    PingRequest,
    PresenceRequest,
    PresenceResult,
    PresenceStatsResult,
    PublicationView,
    PublishRequest,
    Refreshed,
    RefreshRequest,
    RefreshResult,
    RPCRequest,
    RPCResult,
    SendRequest,
    StreamPosition,
    SubRefreshRequest,
    SubRefreshResult,
    Subscribed,
    SubscribeRequest,
    SubscribeResult,
    Unsubscribed,
    UnsubscribeRequest,
)

Numbers = Mapping[str, int]

COMMAND: Final[Numbers] = {
    "id": 1,
    "connect": 4,
    "subscribe": 5,
    "unsubscribe": 6,
    "publish": 7,
    "presence": 8,
    "presence_stats": 9,
    "history": 10,
    "ping": 11,
    "send": 12,
    "rpc": 13,
    "refresh": 14,
    "sub_refresh": 15,
}
REPLY: Final[Numbers] = {
    "id": 1,
    "error": 2,
    "push": 4,
    "connect": 5,
    "subscribe": 6,
    "unsubscribe": 7,
    "publish": 8,
    "presence": 9,
    "presence_stats": 10,
    "history": 11,
    "ping": 12,
    "rpc": 13,
    "refresh": 14,
    "sub_refresh": 15,
    "send": 1000,
}
PUSH: Final[Numbers] = {
    "channel": 2,
    "pub": 4,
    "join": 5,
    "leave": 6,
    "unsubscribe": 7,
    "subscribe": 9,
    "disconnect": 11,
    "refresh": 12,
    "moved": 1000,
}
EMULATION: Final[Numbers] = {"node": 1, "session": 2, "data": 3}

_CHANNEL: Final[Numbers] = {"channel": 1}
_NOTHING: Final[Numbers] = {}

REQUESTS: Final[Mapping[type, Numbers]] = {
    Command: COMMAND,
    ConnectRequest: {"token": 1, "data": 2, "subs": 3, "name": 4, "version": 5, "former": 1000},
    SubscribeRequest: {
        "channel": 1,
        "token": 2,
        "recover": 3,
        "epoch": 6,
        "offset": 7,
        "data": 8,
        "positioned": 9,
        "recoverable": 10,
        "join_leave": 11,
        "delta": 12,
        "flag": 14,
        "type": 15,
        "tag": 1000,
    },
    UnsubscribeRequest: _CHANNEL,
    PublishRequest: {"channel": 1, "data": 2, "idempotency_key": 1000},
    PresenceRequest: _CHANNEL,
    StreamPosition: {"offset": 1, "epoch": 2, "tag": 1000},
    HistoryRequest: {"channel": 1, "limit": 7, "since": 8, "reverse": 9},
    PingRequest: _NOTHING,
    RPCRequest: {"data": 1, "method": 2},
    SendRequest: {"data": 1, "key": 1000, "age": 1001},
    RefreshRequest: {"token": 1},
    SubRefreshRequest: {"channel": 1, "token": 2},
}
RESULTS: Final[Mapping[type, Numbers]] = {
    ClientInfo: {"user": 1, "client": 2, "conn_info": 3, "chan_info": 4},
    PublicationView: {"data": 4, "info": 5, "offset": 6, "tags": 7, "delta": 8, "tag": 1000},
    SubscribeResult: {
        "expires": 1,
        "ttl": 2,
        "recoverable": 3,
        "epoch": 6,
        "publications": 7,
        "recovered": 8,
        "offset": 9,
        "positioned": 10,
        "data": 11,
        "was_recovering": 12,
        "delta": 13,
        "tag": 1000,
    },
    ConnectResult: {
        "client": 1,
        "version": 2,
        "expires": 3,
        "ttl": 4,
        "data": 5,
        "subs": 6,
        "ping": 7,
        "pong": 8,
        "session": 9,
        "node": 10,
    },
    PresenceResult: {"presence": 1},
    PresenceStatsResult: {"num_clients": 1, "num_users": 2},
    HistoryResult: {"publications": 1, "epoch": 2, "offset": 3, "tag": 1000},
    RPCResult: {"data": 1},
    RefreshResult: {"client": 1, "version": 2, "expires": 3, "ttl": 4},
    SubRefreshResult: {"expires": 1, "ttl": 2},
    EmptyResult: _NOTHING,
    Joined: {"info": 1},
    Left: {"info": 1},
    Unsubscribed: {"code": 2, "reason": 3},
    Subscribed: {"recoverable": 1, "epoch": 4, "offset": 5, "positioned": 6, "data": 7, "tag": 1000},
    Refreshed: {"expires": 1, "ttl": 2},
    Moved: {"offset": 1, "tag": 2, "count": 3},
    Disconnect: {"code": 1, "reason": 2},
    ErrorCode: {"code": 1, "message": 2, "temporary": 3},
}
