"""docs/classic.md: its application and its page of baselayer in a browser; and a page of message_flow."""

from __future__ import annotations

import time
from collections.abc import Callable
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

# The same of cesium_web: a store that messages change by what is fetched upon them, and a socket that comes back after
# 1 s, half as long again each time until it is open, and gives an attempt 2 s.
CESIUM = """<!doctype html>
<div id="websocketStatus"></div> <ul id="datasets"></ul> <p id="unknown"></p>
<script>
  let cookie = "stale", attempts = 0, opened = 0, state = { connected: false, authenticated: false, datasets: [] };
  const reducers = {
    "status": (state, payload) => ({ ...state, ...payload }),
    "cesium/RECEIVE_DATASETS": (state, payload) => ({ ...state, datasets: payload }),
  };
  function dispatch({ type, payload }) {
    state = reducers[type](state, payload);
    const word = (on, what) => (on ? what : `${what === "connected" ? "dis" : "un"}${what}`);
    const both = `${word(state.connected, "connected")} & ${word(state.authenticated, "authenticated")}`;
    websocketStatus.title = `WebSocket is ${both}.`;
    datasets.innerHTML = state.datasets.map((name) => `<li>${name}</li>`).join("");
  }
  const show = (payload) => dispatch({ type: "status", payload });
  const fetchJSON = (path) => fetch(path).then((answer) => answer.json()).then(({ data }) => data);
  const handlers = {
    "cesium/FETCH_DATASETS": () =>
      fetchJSON("/datasets").then((payload) => dispatch({ type: "cesium/RECEIVE_DATASETS", payload })),
  };
  async function showToken(socket) {
    cookie ??= (await fetchJSON("/socket_auth_token")).token;
    socket.send(cookie);
  }
  function open() {
    const socket = new WebSocket(`ws://${location.host}/websocket`);
    const late = setTimeout(() => socket.close(), 2000);
    socket.onopen = () => (clearTimeout(late), opened++, (attempts = 0), show({ connected: true }));
    socket.onclose = () => {
      clearTimeout(late);
      show({ connected: false, authenticated: false });
      setTimeout(open, Math.min(30000, 1000 * 1.5 ** attempts++));
    };
    socket.onmessage = ({ data }) => {
      if (data === "<3") return;
      const { action, payload } = JSON.parse(data);
      if (action === "AUTH REQUEST") showToken(socket);
      else if (action === "AUTH FAILED") (cookie = null), show({ authenticated: false });
      else if (action === "AUTH OK") show({ authenticated: true });
      else handlers[action] ? handlers[action](payload) : (unknown.textContent += action);
    };
  }
  open();
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
    token = jwt.encode({"username": "cesium"}, TOKEN_SECRET, "HS256")  # as its application makes them

    def answer(route: Route) -> None:
        route.fulfill(status=answers.pop(0), body=token)

    flags = ["--classic", "message_flow", "--allow-token-without-expiry", "--broker", "memory"]
    with running(["serve", *flags], tmp_path) as gateway:
        page.route("**/socket_auth_token", answer)
        page.goto(
            f"{gateway.url}/health"
        )  # any answer of this machine: what a route answers may open no WebSocket here
        page.set_content(MESSAGE_FLOW)
        expect(page.locator("#authenticated")).to_have_text("Yes")
        Flow(gateway.url, api_key=API_KEY).push("cesium", "TASK DONE", "Hello")
        expect(page.locator("#incoming")).to_have_text("cesium TASK DONE Hello")
    assert answers == []


def test_a_page_of_cesium_web_fetches_what_it_is_told_of_and_comes_back(tmp_path: Path, page: Page) -> None:
    token = jwt.encode({"username": "cesium", "exp": time.time() + 900}, TOKEN_SECRET, "HS256")
    datasets = ["first"]

    def answer(data: object) -> Callable[[Route], None]:
        return lambda route: route.fulfill(json={"status": "success", "data": data})

    page.route("**/socket_auth_token", answer({"token": token}))
    page.route("**/datasets", answer(datasets))
    state, listed = page.locator("#websocketStatus"), page.locator("#datasets")
    with running(["serve", "--classic", "cesium", "--broker", "memory"], tmp_path) as gateway:
        page.goto(f"{gateway.url}/health")
        page.set_content(CESIUM)
        expect(state).to_have_attribute("title", "WebSocket is connected & authenticated.")
        flow = Flow(gateway.url, api_key=API_KEY)
        flow.push("cesium", "cesium/FETCH_DATASETS")
        expect(listed).to_have_text("first")
        flow.disconnect("cesium")
        page.wait_for_function("opened === 2")
        expect(state).to_have_attribute("title", "WebSocket is connected & authenticated.")
        datasets.append("second")
        flow.broadcast("cesium/FETCH_DATASETS")
        flow.push("cesium", "not/known")
        expect(listed).to_have_text("firstsecond")
        expect(page.locator("#unknown")).to_have_text("not/known")
