"""The browser client's calls, holders and handlers in a real browser, at a real gateway."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, WebSocket, WebSocketRoute

from messageflow import Flow
from tests.browser.chromium import PATIENCE_MS
from tests.support import API_KEY, TOKEN_SECRET, Running, running

pytestmark = pytest.mark.browser

CONFIGURATION = """
[[channel.namespaces]]
name = "chat"
presence = true
join_leave = true
history_size = 100
history_ttl = "10m"
allow_subscribe_for_client = true
allow_publish_for_client = true
allow_history_for_client = true
allow_presence_for_client = true
"""
ROOMS = itertools.count()
LOST = 4000  # a close code after which a client comes back


WAYS = {"embedded": (), "memory": ("--broker", "memory"), "workers": ("--workers", "2")}
over_each_broker = pytest.mark.parametrize("gateway", WAYS, indirect=True)


@pytest.fixture(scope="module")
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway for each broker; each test has a room of its own."""
    flags = WAYS[getattr(request, "param", "embedded")]
    directory = tmp_path_factory.mktemp("gateway")
    (directory / "messageflow.toml").write_text(CONFIGURATION)
    with running(("serve", "--config", "messageflow.toml", *flags), directory, cwd=directory) as started:
        yield started


@pytest.fixture
def page(browser: Browser, gateway: Running) -> Iterator[Page]:
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    yield page
    context.close()


def open_flow(page: Page, gateway: Running) -> None:
    """Connect as alice, as `flow`; `room` is a channel that nobody has been in."""
    token = Flow(gateway.url, api_key=API_KEY, token_secret=TOKEN_SECRET).token("alice")
    page.goto(f"{gateway.url}/health")  # any page of the gateway's own origin
    page.add_script_tag(url="/messageflow.js")
    page.evaluate("(name) => { window.room = name; }", f"chat:{next(ROOMS)}")
    page.evaluate("(token) => { window.flow = messageflow.connect({ token }); return flow.ready(); }", token)


@over_each_broker
def test_a_publish_whose_reply_got_lost_is_stored_once(page: Page, gateway: Running) -> None:
    links: list[WebSocketRoute] = []

    def relay(link: WebSocketRoute) -> None:
        """Pass everything on, but break the first link at the reply to what was published."""
        server = link.connect_to_server()
        links.append(link)
        first = len(links) == 1

        def answer(text: str | bytes) -> None:
            if first and '"publish"' in str(text):
                server.close()
                link.close(code=LOST)
            else:
                link.send(text)

        server.on_message(answer)

    page.route_web_socket("**/connection/websocket", relay)
    open_flow(page, gateway)
    page.evaluate("flow.publish(room, { n: 1 }).then(() => flow.publish(room, { n: 2 }))")
    stored = page.evaluate("flow.history(room).then(({ publications }) => publications.map(({ data }) => data.n))")
    assert (stored, len(links)) == ([1, 2], 2)


@over_each_broker
def test_a_publish_too_large_fails_alone(page: Page, gateway: Running) -> None:
    open_flow(page, gateway)
    for size in (100_000, 5_000_000):  # over the payload, over the message
        code, unknown = page.evaluate(
            "(size) => flow.publish(room, 'x'.repeat(size)).catch(({ code, unknown }) => [code, unknown])", size
        )
        assert (code, unknown) == (106, False)
        page.evaluate("flow.publish(room, 'after')")
    assert page.evaluate("flow.history(room).then(({ publications }) => publications.length)") == 2


def test_a_channel_is_held_until_its_last_holder_has_gone(page: Page, gateway: Running) -> None:
    open_flow(page, gateway)
    heard = page.evaluate(
        """async () => {
          const heard = [];
          const hear = (who) => (data) => heard.push(`${who} ${data}`);
          const first = flow.subscribe(room, hear("first"));
          first.unsubscribe();
          first.subscribe();
          const second = flow.subscribe(room, hear("second"));
          await second.ready();
          const said = (text) => new Promise((resolve) => {
            const off = second.onPublication((data) => data === text && resolve(off()));
            flow.publish(room, text);
          });
          await said("a");
          first.unsubscribe();
          await said("b");
          return [...heard, (await flow.presenceStats(room)).clients];
        }"""
    )
    assert heard == ["first a", "second a", "second b", 1]
    page.evaluate("flow.subscribe(room).unsubscribe()")  # one more who comes and goes changes nothing
    assert page.evaluate("flow.presenceStats(room)") == {"clients": 1, "users": 1}


@over_each_broker
def test_who_subscribes_leaves_and_subscribes_in_one_tick_is_present_until_they_leave(
    page: Page, gateway: Running
) -> None:
    open_flow(page, gateway)
    page.evaluate(
        """() => {
          flow.subscribe(room).unsubscribe();
          window.held = flow.subscribe(room);
          return held.ready();
        }"""
    )
    assert page.evaluate("flow.presenceStats(room)") == {"clients": 1, "users": 1}
    page.evaluate("held.unsubscribe()")
    page.wait_for_function("async () => (await flow.presenceStats(room)).clients === 0")


def test_a_handler_that_throws_what_cannot_be_shown_fails_alone(page: Page, gateway: Running) -> None:
    links: list[WebSocket] = []
    page.on("websocket", lambda link: links.append(link))
    open_flow(page, gateway)
    heard = page.evaluate(
        """async () => {
          const heard = [];
          const fail = () => { throw Object.create(null); };
          flow.onError(fail);
          flow.onError(({ code }) => heard.push(code));
          const chat = flow.subscribe(room, fail);
          chat.onPublication(async () => fail());
          await chat.ready();
          for (const text of ["a", "b"]) {
            await new Promise((resolve) => {
              const off = chat.onPublication((data) => data === text && resolve(off()));
              flow.publish(room, text);
            });
          }
          await new Promise((resolve) => setTimeout(resolve));
          return [flow.state, ...heard];
        }"""
    )
    assert heard == ["connected", 9, 9, 9, 9]
    assert len(links) == 1
