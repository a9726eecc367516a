"""What one session holds: whether few or many, they are what a plain table says, in the order in which they came."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from messageflow.core.channels import NamespaceOptions
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
            subscription = Subscription(channel, terms(False, False, False, False))
            subscriber.add_subscription(subscription)
            table.pop(channel.name, None)
            table[channel.name] = subscription
        else:
            assert subscriber.take_subscription(channel.name) is table.pop(channel.name, None)
        assert list(subscriber.subscriptions) == list(table.values())
        assert [subscriber.find_subscription(each.name) for each in CHANNELS] == [table.get(c.name) for c in CHANNELS]
        assert [each.name for each in CHANNELS if subscriber.is_in(each.name)] == [
            each.name for each in CHANNELS if each.name in table
        ]


def test_few_take_no_table() -> None:
    subscriber = SubscriptionHolder()
    for channel in CHANNELS[:FEW]:
        subscriber.add_subscription(Subscription(channel, terms(True, False, False, False)))
    assert isinstance(subscriber.subscriptions, tuple)
    assert len({id(each.terms) for each in subscriber.subscriptions}) == 1, "how they are there is one object"
