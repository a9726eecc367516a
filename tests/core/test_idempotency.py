"""Results by key, for a while."""

from __future__ import annotations

from messageflow.core.idempotency import IdempotencyWindow


def window(size: int = 1000) -> IdempotencyWindow[int]:
    return IdempotencyWindow(ttl=600, size=size)


def test_a_result_is_known_for_its_time_in_its_channel() -> None:
    results = window()
    results.put("c", "k", 1, 0.0)
    assert results.get("c", "k", 599.0) == 1
    assert results.get("d", "k", 599.0) is None
    assert results.get("c", "k", 600.0) is None


def test_what_is_over_is_dropped_when_others_come() -> None:
    results = window()
    for number in range(100):
        results.put("c", str(number), number, 0.0)
    results.put("c", "later", 1, 700.0)
    assert len(results) == 1


def test_a_key_used_again_after_its_time_is_as_new_as_the_newest() -> None:
    results = window(size=3)
    results.put("c", "daily", 1, 0.0)
    results.put("c", "a", 1, 1.0)
    results.put("c", "daily", 2, 600.5)
    results.put("c", "x", 1, 700.0)  # `a` is over by now, and nothing stands before it
    assert len(results) == 2
    results.put("c", "y", 1, 700.0)
    results.put("c", "z", 1, 700.0)
    assert results.get("c", "daily", 700.5) is None  # the oldest of four goes
    assert results.evicted == 1


def test_a_result_that_did_not_come_true_is_forgotten() -> None:
    results = window()
    results.put("c", "k", 1, 0.0)
    results.discard("c", "k")
    results.discard("c", "k")
    assert results.get("c", "k", 1.0) is None
