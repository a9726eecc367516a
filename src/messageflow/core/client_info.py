"""What others see of a client: in presence, in joins and leaves, beside what it publishes.

A new field stands here, and for applications in `ClientInfo` of `publisher.results`, which has values for the JSON.

Pure.
"""

from __future__ import annotations

from msgspec import UNSET, Raw, Struct, UnsetType


class ClientInfo(Struct, frozen=True, gc=False):
    """Who a client is, for presence, joins and publications.

    Args:
        user: who it authenticated as; empty for an anonymous one.
        client: its session.
        conn_info: what the connection token's `info` says.
        chan_info: what the subscription token's `info` says.
    """

    user: str
    client: str
    conn_info: Raw | UnsetType = UNSET
    chan_info: Raw | UnsetType = UNSET


def make_client_info(user: str, client: str, conn_info: bytes | None) -> ClientInfo:
    """Return what others see of a client that has just come in.

    Args:
        user: who it is.
        client: its session.
        conn_info: JSON that its token or the application says of it; none, or empty, for nothing.
    """
    return ClientInfo(user, client, Raw(conn_info) if conn_info else UNSET)
