"""Names in Redis: each belongs to one channel of one prefix, and nothing else is taken for one."""

from __future__ import annotations

import pytest

from messageflow.brokers.redis.keyspace import Names, tag_of
from messageflow.errors import ConfigurationError

CHANNELS = ["a", "a*", "*", "#u", "{a}", "ä", "a b", "x" * 255, "", "a:live", "}:live"]
PREFIXES = ["p", "p:", "p:q", "messageflow", "a/b_c.d-e"]


def test_a_name_tells_its_channel_and_no_other_prefix_has_it() -> None:
    names = [Names(prefix) for prefix in PREFIXES]
    for own in names:
        for channel in CHANNELS:
            assert own.channel_of(own.live(channel).encode()) == channel
            assert [other.channel_of(own.live(channel).encode()) for other in names if other is not own] == [None] * 4


def test_no_two_things_have_one_name() -> None:
    found = []
    for names in map(Names, PREFIXES):
        found += [names.control, names.nodes, names.rules, names.shard, names.age]
        found += [names.of_node("n"), names.to_node("n"), names.beat("n"), names.canary("n", 0)]
        for channel in CHANNELS:
            found += [names.live(channel), names.state(channel), names.log(channel)]
            found += [names.present(channel), names.users(channel), names.key(channel, "k")]
    assert len(set(found)) == len(found)


def test_all_of_a_channel_lies_in_one_slot() -> None:
    names = Names("p")
    for channel in CHANNELS[:-3]:
        tags = {tag_of(name(channel)) for name in (names.live, names.state, names.log, names.present, names.users)}
        assert tags == {tag_of(names.key(channel, "{k}"))}


@pytest.mark.parametrize("name", [b"p:{!}:live", b"p:{YQ}:dead", b"p:{_w}:live", b"p:{YQ}", b"{YQ}:live", b""])
def test_what_is_no_name_of_a_channel_is_none(name: bytes) -> None:
    assert Names("p").channel_of(name) is None


@pytest.mark.parametrize("prefix", ["", "a*", "a?", "a[b]", "a{b", "a}b", "a b", "a@1", "ä", "a\\", "x" * 65, "a\n"])
def test_a_prefix_that_could_be_syntax_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be a prefix"):
        Names(prefix)
