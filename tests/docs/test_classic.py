"""docs/classic.md: its application and its page of baselayer in a browser; and a page of message_flow."""

from __future__ import annotations

import time
from pathlib import Path

import jwt
import pytest
from playwright.sync_api import Page, Route, expect

from messageflow import Flow
from tests.docs.written import Written
from tests.support import API_KEY, TOKEN_SECRET, running

pytestmark = pytest.mark.browser

KEYS = {"MESSAGEFLOW_API_KEY": API_KEY, "MESSAGEFLOW_TOKEN_SECRET": TOKEN_SECRET}

# Our words for what the page of 2016 does: its application says no at first, so that it waits and shows a bad token.
MESSAGE_FLOW = """<!doctype html>
<b id="connected">Offline</b> <b id="authenticated">No</b> <ul id="incoming"></ul>
<script>
  let cookie = null;
  const ws = new WebSocket(`ws://${location.host}/websocket`);
  const send = (token) => ws.send(token);
  const ask = () =>
    fetch("/socket_auth_token").then(async (answer) => {
      if (answer.ok) send((cookie = await answer.text()));
      else setTimeout(() => send("no_auth_token_user bad_token"), 1000);
    });
  ws.onopen = () => (connected.textContent = "Online");
  ws.onmessage = (event) => {
    if (event.data === "<3") return;
    const { id, data, username } = JSON.parse(event.data);
    if (id === "AUTH REQUEST") cookie ? send(cookie) : ask();
    else if (id === "AUTH FAILED") cookie = null;
    else if (id === "AUTH OK") authenticated.textContent = "Yes";
    else incoming.insertAdjacentHTML("beforeend", `<li>${username} ${id} ${data}</li>`);
  };
</script>"""


def test_its_page_gets_in_hears_and_comes_back_by_itself(tmp_path: Path, page: Page) -> None:
    written = Written("classic.md", tmp_path)
    (command,) = written.commands("An application")
    with written.gateway(command, **KEYS) as gateway:
        page.goto(gateway.url + "/?user=7")
        state, heard = page.locator("#websocketStatus"), page.locator("#heard")
        expect(state).to_have_attribute("title", "WebSocket is connected & authenticated")
        page.request.post(f"{gateway.url}/sources/ZTF21")
        both = 'skyportal/REFRESH_SOURCE {"obj_key":"ZTF21"}skyportal/FETCH_NOTIFICATIONS {}'
        expect(heard).to_have_text(both)
        page.evaluate(
            "window.states = []; new MutationObserver(() => states.push(websocketStatus.title)).observe("
            "websocketStatus, { attributes: true })"
        )
        flow = Flow(gateway.url, api_key=API_KEY)
        page.evaluate('document.cookie = "auth_token=stale; path=/; SameSite=Strict"')
        flow.disconnect("7")
        page.wait_for_function("states.length >= 3")
        expect(state).to_have_attribute("title", "WebSocket is connected & authenticated")
        assert page.evaluate("states")[0] == "WebSocket is disconnected"
        flow.push("7", "LAST")
        expect(heard).to_have_text(both + "LAST null")


def test_a_page_of_message_flow_gets_in_at_the_second_attempt(tmp_path: Path, page: Page) -> None:
    answers = [500, 200]
    token = jwt.encode({"username": "cesium", "exp": time.time() + 600}, TOKEN_SECRET, "HS256")

    def answer(route: Route) -> None:
        route.fulfill(status=answers.pop(0), body=token)

    with running(["serve", "--classic", "message_flow", "--broker", "memory"], tmp_path) as gateway:
        page.route("**/socket_auth_token", answer)
        page.goto(
            f"{gateway.url}/health"
        )  # any answer of this machine: what a route answers may open no WebSocket here
        page.set_content(MESSAGE_FLOW)
        expect(page.locator("#authenticated")).to_have_text("Yes")
        Flow(gateway.url, api_key=API_KEY).push("cesium", "TASK DONE", "Hello")
        expect(page.locator("#incoming")).to_have_text("cesium TASK DONE Hello")
    assert answers == []
