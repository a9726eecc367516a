"""The documents tell the truth: their Python runs against a gateway that was started as they say."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFIG = re.compile(r"```toml\n(.*?)```", re.DOTALL)
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A gateway as the tutorial starts it, with the tutorial's namespaces; yields what `Flow()` needs to find it."""
    tmp_path = tmp_path_factory.mktemp("gateway")
    config = tmp_path / "messageflow.toml"
    config.write_text("\n".join(CONFIG.findall((ROOT / "docs/tutorial.md").read_text())))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MESSAGEFLOW_")}
    environment |= {"MESSAGEFLOW_DATA_DIR": str(tmp_path), "MESSAGEFLOW_LOG_FORMAT": "json"}
    command = [sys.executable, "-m", "messageflow.cli", "serve", "--dev", "--port", "0", "--config", str(config)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        lines = (json.loads(line) for line in process.stderr if line.startswith("{"))
        started = next(line for line in lines if line["event"] == "started")
        yield {"MESSAGEFLOW_DATA_DIR": str(tmp_path), "MESSAGEFLOW_URL": f"http://127.0.0.1:{started['port']}"}
    finally:
        process.terminate()
        process.communicate(timeout=20)


@pytest.mark.parametrize(
    "document",
    ["README.md", "docs/tutorial.md", "docs/reliability.md", "docs/gateway-away.md", "docs/channel-rights.md"],
)
def test_the_python_of_a_document_runs(document: str, gateway: dict[str, str]) -> None:
    blocks = PYTHON.findall((ROOT / document).read_text())
    assert blocks
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(blocks)],
        env={**os.environ, **gateway},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ran.returncode == 0, ran.stderr


def test_links_between_documents_lead_somewhere() -> None:
    for document in [
        *ROOT.glob("*.md"),
        ROOT / "llms.txt",
        ROOT / "benchmarks/README.md",
        *(ROOT / "docs").rglob("*.md"),
    ]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_pages_that_the_source_cites_are_there_with_their_sections() -> None:
    cited = re.compile(r"(docs/[\w/-]+\.md)((?:,? (?:and )?\"[^\"]+\")*)")
    for module in (ROOT / "src").rglob("*.py"):
        text = module.read_text()
        assert "reference/" not in text, f"{module.name} cites what is not in the repository"
        for page, sections in cited.findall(text):
            headings = re.findall(r"^#+ (.*)$", (ROOT / page).read_text(), re.MULTILINE)
            assert set(re.findall(r'"([^"]+)"', sections)) <= set(headings), f"{module.name} cites {page}"


def test_every_document_is_reached_from_the_first_and_from_what_machines_read() -> None:
    names = {f"docs/{document.name}" for document in (ROOT / "docs").glob("*.md")}
    for start in ("README.md", "llms.txt"):
        assert names <= set(re.findall(r"\]\(([^)#:]+)\)", (ROOT / start).read_text()))


def test_the_readme_has_three_figures_and_the_benchmarks_all_others() -> None:
    figures = (ROOT / "README.md").read_text().split("## Three figures")[1].split("\n## ")[0]
    assert figures.count("\n- **") == 3
    assert "CPU per connect" in (ROOT / "benchmarks/README.md").read_text()
