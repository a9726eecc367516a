"""docs/flask.md beyond its two ways to run: its commands, and its page under a strict Content-Security-Policy."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.docs.written import Written

pytestmark = pytest.mark.browser


def test_its_commands_and_its_page_under_a_strict_policy(tmp_path: Path, page: Page) -> None:
    written = Written("flask.md", tmp_path)
    policy = written.text.split("from a function of yours:\n\n```python\n")[1].split("```")[0]
    *functions, made = policy.strip().rsplit("\n\n\n", 1)
    written.change("app.py", 'messageflow = MessageFlow(app, user=lambda: session.get("user"))', f"{made}\n")
    written.change("app.py", "import Flask,", "import Flask, g,")
    written.change("app.py", made, f"import secrets\n{''.join(functions)}\n\n{made}")
    written.change("templates/page.html", '<script src="/static', '<script nonce="{{ csp }}" src="/static')
    written.change("app.py", '"page.html")', '"page.html", csp=find_nonce())')
    violations: list[str] = []
    page.on("console", lambda message: violations.append(message.text) if "Policy" in message.text else None)
    (run,) = written.commands("One process")
    with written.gateway(run.removesuffix(" --reload")) as gateway:
        page.goto(gateway.url)
        page.fill("[name=name]", "alice")
        page.click("#login")
        expect(page.locator("#state")).to_contain_text("connected (connected)")
        doctor, push, *_ = written.commands("Commands")
        assert f"gateway: {gateway.url} answers, 1 worker" in written.type(doctor)
        assert written.type(push).startswith("#alice #1, stored")
        expect(page.locator("#heard")).to_contain_text("report 8 is ready")
    assert [each for each in violations if "form-action" not in each] == []
