"""Which dialect is spoken with whom."""

from __future__ import annotations

import pytest

from messageflow.dialects import table
from messageflow.dialects.base import Dialect
from messageflow.dialects.native import NATIVE
from messageflow.dialects.protobuf import PROTOBUF
from messageflow.dialects.table import DIALECTS, Spoken, choose
from messageflow.dialects.unidirectional import UNIDIRECTIONAL

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


@pytest.mark.parametrize(
    ("path", "offered", "wanted", "subprotocol", "dialect"),
    [
        ("/connection/websocket", (), "protobuf", "centrifuge-json", PROTOBUF),
        ("/connection/websocket", ("centrifuge-json",), "protobuf", "centrifuge-json", PROTOBUF),
        ("/connection/websocket", ("centrifuge-protobuf",), "", "centrifuge-protobuf", PROTOBUF),
        ("/connection/websocket", ("centrifuge-protobuf",), "json", "centrifuge-protobuf", PROTOBUF),
        ("/connection/websocket", (), "json", "centrifuge-json", NATIVE),
        ("/connection/uni_websocket", (), "protobuf", "", UNIDIRECTIONAL),
    ],
)
def test_a_format_that_is_asked_for_is_spoken_whatever_the_subprotocol(
    path: str, offered: tuple[str, ...], wanted: str, subprotocol: str, dialect: Dialect
) -> None:
    found = choose(path, offered, wanted)
    assert found is not None
    assert (found.subprotocol, found.dialect) == (subprotocol, dialect)
