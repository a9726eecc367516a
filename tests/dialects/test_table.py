"""Which dialect is spoken with whom."""

from __future__ import annotations

import pytest

from messageflow.dialects import table
from messageflow.dialects.native import NATIVE
from messageflow.dialects.table import DIALECTS, Spoken, choose

TABLE = (*DIALECTS, Spoken("/connection/websocket", "other", NATIVE), Spoken("/elsewhere", "third", NATIVE))


@pytest.mark.parametrize(
    ("path", "offered", "chosen"),
    [
        ("/connection/websocket", (), "centrifuge-json"),
        ("/connection/websocket", ("centrifuge-json",), "centrifuge-json"),
        ("/connection/websocket", ("unknown", "other", "centrifuge-json"), "other"),
        ("/connection/websocket", ("third",), None),
        ("/elsewhere", (), "third"),
        ("/elsewhere", ("centrifuge-json",), None),
        ("/nowhere", (), None),
    ],
)
def test_path_and_subprotocol_choose_the_dialect(
    path: str, offered: tuple[str, ...], chosen: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "DIALECTS", TABLE)
    found = choose(path, offered)
    assert (found and found.subprotocol) == chosen
