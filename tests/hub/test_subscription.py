"""What one session holds: whether few or many, they are what a plain table says, in the order in which they came."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messageflow.core.namespaces import NamespaceOptions
from messageflow.hub.channel import Channel
from messageflow.hub.subscription import FEW, Subscription, SubscriptionHolder, terms

CHANNELS = [Channel(f"x{number}", NamespaceOptions()) for number in range(FEW + 4)]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, FEW + 3)), max_size=60))
def test_subscriptions_are_those_of_a_plain_table(steps: list[tuple[bool, int]]) -> None:
    subscriber = SubscriptionHolder()
    table: dict[str, Subscription] = {}
    for comes, number in steps:
        channel = CHANNELS[number]
        if comes:
            before = table.get(channel.name)
            subscription = Subscription(channel, terms(False, False, False, False))
            subscriber.add_subscription(subscription)
            table.pop(channel.name, None)
            table[channel.name] = subscription
            assert before is None or not subscriber.holds(before)
        else:
            assert subscriber.take_subscription(channel.name) is table.pop(channel.name, None)
        if comes:
            assert subscriber.holds(subscription)
            assert not subscriber.holds(Subscription(channel, terms(False, False, False, False)))
        assert list(subscriber.subscriptions) == list(table.values())
        assert [subscriber.find_subscription(each.name) for each in CHANNELS] == [table.get(c.name) for c in CHANNELS]
        assert [each.name for each in CHANNELS if subscriber.is_in(each.name)] == [
            each.name for each in CHANNELS if each.name in table
        ]


@pytest.mark.parametrize("count", [0, 3, FEW + 2])
def test_all_are_taken_at_once(count: int) -> None:
    subscriber = SubscriptionHolder()
    held = [Subscription(channel, terms(True, False, False, False)) for channel in CHANNELS[:count]]
    for each in held:
        subscriber.add_subscription(each)
    assert list(subscriber.take_all_subscriptions()) == held
    assert subscriber.subscriptions == ()


def test_few_take_no_table() -> None:
    subscriber = SubscriptionHolder()
    for channel in CHANNELS[:FEW]:
        subscriber.add_subscription(Subscription(channel, terms(True, False, False, False)))
    assert isinstance(subscriber.subscriptions, tuple)
    assert len({id(each.terms) for each in subscriber.subscriptions}) == 1, "how they are there is one object"
