"""A page whose user's tokens are revoked fetches a new one, is back by itself, and misses nothing."""

from __future__ import annotations

import pytest
from playwright.sync_api import Request, expect

from messageflow import Flow
from tests.browser.conftest import Enter

pytestmark = pytest.mark.browser


def test_a_page_comes_back_with_a_new_token_after_a_revocation(enter: Enter, flow: Flow) -> None:
    page = enter("alice")
    fetched: list[str] = []

    def note(request: Request) -> None:
        if request.url.endswith("/token"):
            fetched.append(request.method)

    page.on("request", note)
    flow.revoke("alice")
    flow.push("alice", "note", {"text": "meanwhile"})
    expect(page.locator("#incoming .text")).to_have_text(["meanwhile"])
    expect(page.locator("#connected")).to_have_text("Online")
    expect(page.locator("#missed")).to_be_hidden()
    assert len(fetched) == 1
