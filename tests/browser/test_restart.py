"""The demo after the process behind it was killed and started again: the page comes back by itself, and says so."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import DEMO, EXAMPLE, log_in, open_page
from tests.ports import free_port
from tests.support import running

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = open_page(browser, [])  # the console speaks of the connections it could not make, and may
    yield page
    page.context.close()


def push_by_command_line(data_dir: Path, user: str, type: str, payload: str) -> None:
    """Push as a person at a terminal, who has no keys but those that `run` left for him."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MESSAGEFLOW_")}
    environment["MESSAGEFLOW_DATA_DIR"] = str(data_dir)
    command = [sys.executable, "-m", "messageflow.cli", "push", user, type, payload]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=30)


def test_a_page_comes_back_by_itself_and_hears_pushes_again(tmp_path: Path, page: Page) -> None:
    with running(DEMO, tmp_path, cwd=EXAMPLE, port=free_port(), keys=False) as first:
        log_in(page, first.url, "alice")
        first.kill()
        expect(page.locator("#connected")).to_have_text("Offline")
    with running(DEMO, tmp_path, cwd=EXAMPLE, port=first.port, keys=False):
        expect(page.locator("#connected")).to_have_text("Online", timeout=30_000)
        expect(page.locator("#authenticated")).to_have_text("Yes")
        expect(page.locator("#people")).to_have_text("1")
        push_by_command_line(tmp_path, "alice", "note", '{"text": "here again"}')
        expect(page.locator("#incoming .text")).to_have_text(["here again"])
        expect(page.locator("#missed")).to_be_hidden()  # its streams outlived it


def test_a_page_is_told_when_streams_ended_with_the_process(tmp_path: Path, page: Page) -> None:
    forgetful = (*DEMO, "--broker", "memory")
    with running(forgetful, tmp_path, cwd=EXAMPLE, port=free_port(), keys=False) as first:
        log_in(page, first.url, "alice")
        first.kill()
        expect(page.locator("#connected")).to_have_text("Offline")
    with running(forgetful, tmp_path, cwd=EXAMPLE, port=first.port, keys=False):
        expect(page.locator("#missed")).to_be_visible(timeout=30_000)


def test_a_job_that_ended_with_the_process_is_shown_as_lost(tmp_path: Path, page: Page) -> None:
    large = tmp_path / "large.txt"
    large.write_bytes(b"one two three four five six seven eight nine ten\n" * 1_500_000)
    with running(DEMO, tmp_path, cwd=EXAMPLE, port=free_port(), keys=False) as first:
        log_in(page, first.url, "alice")
        page.set_input_files("#file", large)
        job = page.locator("#jobs > li")
        expect(job).to_have_attribute("data-state", "running")
        first.kill()
        expect(page.locator("#connected")).to_have_text("Offline")
    with running(DEMO, tmp_path, cwd=EXAMPLE, port=first.port, keys=False):
        expect(job).to_have_attribute("data-state", "failed", timeout=30_000)
        expect(job.locator(".what")).to_contain_text("restarted")
