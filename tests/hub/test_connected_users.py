"""Who is connected, by user: as tuples to whoever reads, however many there are."""

from __future__ import annotations

import pytest

from messageflow.hub.connected_users import ConnectedUsers
from messageflow.hub.session import Session
from tests.hub.conftest import World


async def _session(world: World, user: str) -> Session:
    session = (await world.connected(user)).session
    assert session is not None
    return session


async def test_the_sessions_of_a_user_are_read_as_tuples_in_the_order_in_which_they_came(world: World) -> None:
    first, second, third = [await _session(world, "alice") for _ in range(3)]
    other = await _session(world, "bob")
    users = ConnectedUsers()
    for session in (first, other, second, third):
        users.add(session)
    assert users == {"alice": (first, second, third), "bob": (other,)}
    assert users.get("alice") == (first, second, third)
    assert users.get("carol", ()) == ()
    users.discard(second)
    users.discard(second)
    assert list(users["alice"]) == [first, third]
    users.discard(first)
    assert list(users["alice"]) == [third]
    assert len(users) == 2
    users.discard(third)
    users.discard(third)
    assert dict(users) == {"bob": (other,)}
    with pytest.raises(KeyError):
        users["alice"]


async def test_one_session_of_a_user_takes_no_tuple(world: World) -> None:
    users = ConnectedUsers()
    only = await _session(world, "alice")
    users.add(only)
    assert users._sessions["alice"] is only
