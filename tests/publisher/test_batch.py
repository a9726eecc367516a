"""A batch by values: what goes into which request, and what is known when one of them fails."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from messageflow.errors import EncodingError, Refused
from messageflow.publisher import batch as module
from messageflow.publisher.batch import Batch, BatchRefused
from messageflow.publisher.results import Receipt


def filled(count: int) -> Batch:
    batch = Batch()
    for number in range(count):
        batch.push("alice", "t", number)
    return batch


def commands(body: bytes) -> list[dict[str, Any]]:
    decoded = msgspec.json.decode(body)["commands"]
    assert isinstance(decoded, list)
    return decoded


def requests_of(batch: Batch) -> list[list[dict[str, Any]]]:
    """Answer every request with success; return what each asked."""
    sent = []
    while (request := batch.next_request()) is not None:
        sent.append(commands(request.body))
        batch.settle([Receipt("#alice")] * len(sent[-1]))
    return sent


def test_empty_batch_sends_nothing() -> None:
    batch = Batch()
    assert batch.next_request() is None
    assert batch.receipts == []
    batch.check()


def test_commands_are_those_of_single_calls_in_order() -> None:
    batch = Batch()
    batch.push("alice", "t", 1, idempotency_key="a")
    batch.publish("news", 2, tags={"x": "y"}, idempotency_key="b")
    batch.broadcast("t", 3, idempotency_key="c")
    assert requests_of(batch) == [
        [
            {"push": {"user": "alice", "type": "t", "payload": 1, "idempotency_key": "a"}},
            {"publish": {"channel": "news", "data": 2, "idempotency_key": "b", "tags": {"x": "y"}}},
            {"broadcast_push": {"type": "t", "payload": 3, "idempotency_key": "c"}},
        ]
    ]


def test_requests_are_bounded_by_number() -> None:
    assert [len(sent) for sent in requests_of(filled(2500))] == [1000, 1000, 500]


def test_requests_are_bounded_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BYTES", 1000)
    batch = Batch()
    for size in (600, 600, 600, 5000, 10):
        batch.publish("news", "x" * size)
    assert [len(sent) for sent in requests_of(batch)] == [1, 1, 1, 1, 1]
    small = filled(20)
    sizes = [len(sent) for sent in requests_of(small)]
    assert sum(sizes) == 20
    assert max(sizes) > 1


def test_what_cannot_be_encoded_is_refused_where_it_is_added() -> None:
    batch = filled(1)
    with pytest.raises(EncodingError):
        batch.push("alice", "t", object())
    assert len(batch) == 1


def test_batch_that_was_cut_goes_on_with_what_is_missing_and_the_same_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMMANDS", 2)
    batch = filled(5)
    first = batch.next_request()
    assert first is not None
    batch.settle([Receipt("#alice", 1), Receipt("#alice", 2)])
    lost = batch.next_request()
    assert batch.receipts == [Receipt("#alice", 1), Receipt("#alice", 2), None, None, None]
    again = batch.next_request()
    assert lost is not None
    assert again is not None
    assert again.body == lost.body
    assert [command["push"]["payload"] for command in commands(again.body)] == [2, 3]


def test_refused_calls_are_told_after_all_others_are_stored() -> None:
    batch = filled(3)
    request = batch.next_request()
    assert request is not None
    replies = [{"push": {"offset": 1}}, {"error": {"code": 107, "message": "bad request"}}, {"push": {"offset": 2}}]
    batch.settle(request.read(msgspec.json.encode({"replies": replies})))
    with pytest.raises(BatchRefused, match=r"error 107: bad request \(call 1 of a batch; 1 of 3") as caught:
        batch.check()
    assert caught.value.code == 107
    assert caught.value.receipts == (Receipt(offset=1), None, Receipt(offset=2))
    assert caught.value.failures.keys() == {1}
    assert batch.next_request() is None


@pytest.mark.parametrize("kind", ["push", "publish", "broadcast_push"])
def test_replies_read(kind: str) -> None:
    request = filled(1).next_request()
    assert request is not None
    assert request.read(msgspec.json.encode({"replies": [{kind: {"offset": 5}}]})) == [Receipt(offset=5)]


def test_error_of_the_whole_request_is_raised() -> None:
    request = filled(1).next_request()
    assert request is not None
    with pytest.raises(Refused, match="107"):
        request.read(b'{"error":{"code":107,"message":"bad request"}}')


@pytest.mark.parametrize(
    "body", [b"{}", b'{"replies":[]}', b'{"replies":[{}]}', b'{"replies":[{"push":{}},{"push":{}}]}']
)
def test_replies_that_do_not_match_the_commands_are_malformed(body: bytes) -> None:
    request = filled(1).next_request()
    assert request is not None
    with pytest.raises(msgspec.MsgspecError):
        request.read(body)
