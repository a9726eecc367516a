"""`messageflow.compat.baselayer.Flow`, called as applications of baselayer call theirs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from messageflow.compat.baselayer import Flow
from messageflow.errors import EncodingError
from messageflow.testing import FlowRecorder


@pytest.fixture
def recorder() -> Iterator[FlowRecorder]:
    with FlowRecorder().recording() as recorder:
        yield recorder


async def test_a_push_is_for_one_user_and_a_star_is_everyone_on_an_event_loop_too(recorder: FlowRecorder) -> None:
    Flow().push(7, "skyportal/REFRESH_SOURCE", payload={"obj_key": "a"})
    Flow("localhost", 64002).push("*", "skyportal/FETCH_NOTIFICATIONS")
    Flow(port=64002).push(user_id="8", action_type="t")
    assert [(each.channel, each.type, each.payload) for each in recorder] == [
        ("#7", "skyportal/REFRESH_SOURCE", {"obj_key": "a"}),
        ("*", "skyportal/FETCH_NOTIFICATIONS", {}),
        ("#8", "t", {}),
    ]


def test_what_is_no_json_is_refused_at_once(recorder: FlowRecorder) -> None:
    with pytest.raises(EncodingError):
        Flow().push("7", "t", {"value": float("nan")})
