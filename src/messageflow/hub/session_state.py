"""How far a session has come."""

from __future__ import annotations

from enum import Enum, auto


class State(Enum):
    NEW = auto()  # the connect command is yet to come
    CONNECTING = auto()
    CONNECTED = auto()
    REFUSED = auto()  # connect was answered with an error; nothing more is accepted
    CLOSED = auto()
