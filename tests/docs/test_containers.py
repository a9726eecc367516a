"""docs/containers.md, as far as it can be held to without Docker: its files are read, its command is run."""

from __future__ import annotations

import json
import re
from pathlib import Path

from messageflow.gateway.settings_loading import OPTIONS
from tests.docs.written import Written
from tests.gateway.asking import get
from tests.support import API_KEY, TOKEN_SECRET

KEYS = {"MESSAGEFLOW_API_KEY": API_KEY, "MESSAGEFLOW_TOKEN_SECRET": TOKEN_SECRET}
INSTRUCTIONS = {"FROM", "RUN", "USER", "VOLUME", "ENV", "EXPOSE", "CMD"}


def test_the_command_of_the_image_serves_with_its_variables_and_is_ready(tmp_path: Path) -> None:
    written = Written("containers.md", tmp_path)
    lines = [line.partition(" ")[::2] for line in written.files["Dockerfile"].splitlines()]
    assert {instruction for instruction, _ in lines} <= INSTRUCTIONS
    told = dict(lines)
    variables = dict(each.split("=") for each in told["ENV"].split()) | {"MESSAGEFLOW_DATA_DIR": str(tmp_path / "data")}
    front = {"MESSAGEFLOW_TLS_TERMINATED": "true", "MESSAGEFLOW_TRUSTED_PROXIES": "172.16.0.0/12"}
    with written.gateway(" ".join(json.loads(told["CMD"])), **variables, **front, **KEYS) as gateway:
        assert get(gateway.port, "/messageflow/ready") == (200, "ready\n")
        assert get(gateway.port, "/messageflow/health")[0] == 200


def test_every_variable_is_a_setting() -> None:
    text = Path(__file__).parents[2].joinpath("docs/containers.md").read_text()
    names = {name.lower() for name in re.findall(r"MESSAGEFLOW_([A-Z_]+)\b", text)} - {"url", "port"}
    assert names <= {option.name for option in OPTIONS}


def test_yaml_is_indented_by_spaces_in_twos(tmp_path: Path) -> None:
    written = Written("containers.md", tmp_path)
    for name in ("compose.yaml", "messageflow.yaml"):
        for line in written.files[name].splitlines():
            assert "\t" not in line
            assert (len(line) - len(line.lstrip())) % 2 == 0
