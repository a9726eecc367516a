"""The demo in a real browser: what the README promises a person sees."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from messageflow import Flow
from tests.browser.conftest import DEMO, EXAMPLE, Enter, forgive_cuts, log_in, open_page
from tests.ports import free_port
from tests.support import Running, running

pytestmark = pytest.mark.browser

NUMBERS = itertools.count(1)
DIGEST = re.compile("[0-9a-f]{64}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One demo for all; each test has users of its own, and nobody else is there."""
    with running(DEMO, tmp_path_factory.mktemp("demo"), cwd=EXAMPLE) as started:
        yield started


@pytest.fixture
def user() -> str:
    return f"alice {next(NUMBERS)}"


@pytest.fixture
def friend() -> str:
    return f"bob {next(NUMBERS)}"


def hand_over(page: Page, name: str, content: bytes) -> Locator:
    """Give the page a file; return the row of its job."""
    page.set_input_files("#file", {"name": name, "mimeType": "application/octet-stream", "buffer": content})
    return page.locator("#jobs > li").filter(has_text=name)


def say(page: Page, text: str) -> None:
    page.fill("#message", text)
    page.click("#messageForm button")


def test_the_state_is_shown_in_words_and_colour_and_for_machines(
    enter: Enter, complaints: list[str], user: str
) -> None:
    page = enter(user)
    dot = page.locator("#websocketStatus")
    expect(page.locator("#authenticated")).to_have_text("Yes")
    expect(dot).to_have_attribute("data-state", "authenticated")
    expect(dot).to_have_css("background-color", "rgb(0, 128, 0)")
    page.click("#cut")
    expect(page.locator("#connected")).to_have_text("Offline")
    expect(page.locator("#authenticated")).to_have_text("No")
    expect(dot).to_have_attribute("data-state", "disconnected")
    expect(dot).to_have_css("background-color", "rgb(255, 0, 0)")
    page.context.close()  # or it tries again, and complains, after it was forgiven
    forgive_cuts(complaints)


@pytest.mark.parametrize(
    ("content", "lines", "words"),
    [
        (b"", 0, 0),
        (b"one two\ntwo\n", 2, 3),
        ("née née\r\nohne Zeilenende".encode(), 2, 4),
        (b"x" * 3_000_000, 1, 1),
        (b"\x00\xff\n" * 5000, 5000, 5000),
    ],
    ids=["empty", "short", "no last line feed", "one endless word", "binary"],
)
def test_the_result_of_a_file_is_pushed(content: bytes, lines: int, words: int, enter: Enter, user: str) -> None:
    job = hand_over(enter(user), "mine", content)
    expect(job).to_have_attribute("data-state", "done")
    expect(job.locator(".sha256")).to_have_text(hashlib.sha256(content).hexdigest())
    expect(job.locator(".size")).to_have_text(f"{len(content):,}")
    expect(job.locator(".lines")).to_have_text(f"{lines:,}")
    expect(job.locator(".words")).to_have_text(f"{words:,}")
    assert job.locator("progress").evaluate("bar => bar.value") == 100


def test_a_large_file_reports_its_progress_after_the_request_has_ended(enter: Enter, tmp_path: Path, user: str) -> None:
    large = tmp_path / "large.txt"
    large.write_bytes(b"The quick, the slow; THE END.\n" * 500_000)
    page = enter(user)
    with page.expect_response("**/jobs?name=*") as answered:
        page.set_input_files("#file", large)
    job = page.locator("#jobs > li")
    assert answered.value.status == 200
    expect(page.locator("#incoming .type").filter(has_text="job/progress").first).to_be_visible()
    expect(job).to_have_attribute("data-job", re.compile("."))
    expect(job).to_have_attribute("data-state", "done")
    expect(job.locator(".often li").first).to_have_text("the 1,500,000")
    kinds = page.locator("#incoming .type").all_inner_texts()
    assert (kinds[0], kinds[-1]) == ("job/done", "job/started")


def test_two_users_see_what_is_theirs_and_nothing_else(enter: Enter, user: str, friend: str) -> None:
    alice, bob = enter(user), enter(friend)
    rows = hand_over(alice, "hers.txt", b"secret"), hand_over(bob, "his.txt", b"other")
    for page, row, own, foreign in ((alice, rows[0], "hers.txt", "his.txt"), (bob, rows[1], "his.txt", "hers.txt")):
        expect(row).to_have_attribute("data-state", "done")
        page.reload()
        expect(page.locator("#jobs > li")).to_have_count(1)
        expect(page.locator("#jobs")).to_contain_text(own)
        assert foreign not in page.inner_text("body")


def test_all_pages_of_one_user_hear_of_his_jobs(enter: Enter, user: str) -> None:
    one, other = enter(user), enter(user)
    hand_over(one, "hers.txt", b"text")
    for page in (one, other):
        expect(page.locator("#jobs .sha256")).to_have_text(DIGEST)


def test_a_page_that_is_opened_later_fetches_the_jobs(enter: Enter, user: str) -> None:
    page = enter(user)
    expect(hand_over(page, "hers.txt", b"text")).to_have_attribute("data-state", "done")
    page.reload()
    expect(page.locator("#jobs .sha256")).to_have_text(hashlib.sha256(b"text").hexdigest())


def test_a_message_reaches_every_open_page_as_text(enter: Enter, user: str, friend: str) -> None:
    alice, bob = enter(user), enter(friend)
    text = "<img src=x onerror=\"alert('run')\"> & <b>bold</b>"
    say(alice, text)
    for page in (alice, bob):
        expect(page.locator("#incoming .text")).to_have_text([f"{user}: {text}"])
        assert page.locator("#incoming img, #incoming b").count() == 0


def test_hostile_names_of_users_and_files_are_text_too(enter: Enter) -> None:
    name = "<img src=x onerror=alert(1)>"
    page = enter(name)
    expect(hand_over(page, f"{name}.txt", b"<script>alert(2)</script>")).to_have_attribute("data-state", "done")
    expect(page.locator("#username")).to_have_text(name)
    assert page.locator("main img, main script").count() == 0


def test_the_age_of_the_last_update_is_told_in_local_time(enter: Enter, user: str) -> None:
    page = enter(user)
    expect(page.locator("#updated")).to_have_text("never")
    say(page, "now")
    expect(page.locator("#ago")).to_contain_text(re.compile(r"\d+ s ago"))
    shown, local = page.locator("#updated").evaluate(
        "time => [time.textContent, new Date(time.dateTime).toLocaleTimeString()]"
    )
    assert shown == local


def test_the_count_of_people_rises_and_falls(enter: Enter, complaints: list[str], user: str, friend: str) -> None:
    alice = enter(user)
    expect(alice.locator("#people")).to_have_text("1")
    second, bob = enter(user), enter(friend)
    for page in (alice, second, bob):
        expect(page.locator("#people")).to_have_text("2")  # people, not pages
    bob.context.close()
    expect(alice.locator("#people")).to_have_text("1")
    alice.click("#cut")
    expect(alice.locator("#people")).to_have_text("–")
    alice.context.close()  # a browser complains of the link it was opening, too
    forgive_cuts(complaints)


def test_what_is_pushed_while_the_connection_is_cut_arrives_once_and_in_order(
    enter: Enter, flow: Flow, complaints: list[str], user: str
) -> None:
    page = enter(user)
    flow.push(user, "note", {"text": "before"})
    expect(page.locator("#incoming li")).to_have_count(1)
    page.click("#cut")
    expect(page.locator("#connected")).to_have_text("Offline")
    for number in range(5):
        flow.push(user, "note", {"text": f"missed {number}"})
    page.click("#again")
    expect(page.locator("#connected")).to_have_text("Online")
    flow.push(user, "note", {"text": "after"})
    expected = ["before", *[f"missed {number}" for number in range(5)], "after"]
    expect(page.locator("#incoming .text")).to_have_text(expected[::-1])
    expect(page.locator("#incoming .late")).to_have_count(5)
    expect(page.locator("#missed")).to_be_hidden()
    forgive_cuts(complaints)


def test_a_cut_takes_the_link_from_a_client_that_is_told_nothing_and_comes_back_by_itself(
    server: Running, enter: Enter, flow: Flow, complaints: list[str], user: str
) -> None:
    page, other = enter(user), enter(user)  # two browsers
    page.click("#cut")
    expect(page.locator("#why")).to_have_text(
        f"The network is cut, so nothing answers at {server.url}. The page goes on looking by itself."
    )
    refused = [each for each in complaints if each.startswith("WebSocket connection to ")]
    assert refused  # by the network: the page never closed it
    flow.push(user, "note", {"text": "meanwhile"})
    expect(other.locator("#incoming .text")).to_have_text(["meanwhile"])
    expect(other.locator("#connected")).to_have_text("Online")
    expect(page.locator("#incoming li")).to_have_count(0)
    page.click("#again")  # mends the server's end; or 20 seconds do
    expect(page.locator("#connected")).to_have_text("Online")
    expect(page.locator("#incoming .text")).to_have_text(["meanwhile"])
    expect(page.locator("#incoming .late")).to_have_count(1)
    expect(page.locator("#why")).to_be_hidden()
    forgive_cuts(complaints)


def test_a_server_that_is_gone_is_told_once_with_where_the_page_looks(tmp_path: Path, browser: Browser) -> None:
    page = open_page(browser, [])  # the console speaks of the connections it could not make, and may
    with running(("demo",), tmp_path, cwd=EXAMPLE, port=free_port()) as gone:
        log_in(page, gone.url, "alice")
        gone.kill()
        why = page.get_by_role("status").filter(has_text="Nothing answers")
        expect(why).to_have_text(f"Nothing answers at {gone.url}. The page goes on looking by itself.")
        why.evaluate(
            "(why) => new MutationObserver(() => (why.dataset.said = 'again')).observe(why, { childList: true })"
        )
        with page.expect_event("websocket"), page.expect_event("console", lambda said: said.type == "error"):
            pass  # it has looked again
        expect(why).to_have_count(1)
        expect(why).not_to_have_attribute("data-said", "again")
        say(page, "hello")
        expect(page.get_by_role("alert")).to_have_text(f"Nothing answers at {gone.url}.")
        page.context.close()


def test_an_application_under_run_offers_no_cut(tmp_path: Path, browser: Browser) -> None:
    page = open_page(browser, [])
    with running(("run", "app:app", "--config", "messageflow.toml"), tmp_path, cwd=EXAMPLE) as started:
        log_in(page, started.url, "alice")
        expect(page.locator("#cut")).to_have_count(0)
        expect(page.locator("main")).to_contain_text(
            "Started with messageflow demo, this page can also cut the network."
        )
        page.context.close()


def test_nothing_is_lost_or_doubled_while_the_connection_is_cut_again_and_again(
    enter: Enter, flow: Flow, complaints: list[str], user: str
) -> None:
    page = enter(user)
    for number in range(100):
        flow.push(user, "note", {"text": f"{number}"})
        if number % 5 == 0:
            page.click("#cut")
        elif number % 5 == 2:
            page.click("#again")
    expect(page.locator("#incoming .text")).to_have_text([f"{number}" for number in reversed(range(100))])
    expect(page.locator("#missed")).to_be_hidden()
    forgive_cuts(complaints)


@pytest.mark.parametrize("payload", [None, [], 7, {"text": {"not": "text"}}])
def test_a_push_of_another_kind_is_listed_as_it_is(payload: object, enter: Enter, flow: Flow, user: str) -> None:
    page = enter(user)
    flow.push(user, "something/else", payload)
    expect(page.locator("#incoming .type")).to_have_text(["something/else"])


def test_what_the_application_refuses_is_shown(server: Running, browser: Browser, user: str) -> None:
    page = open_page(browser, [])  # the console names the refused request, and may
    log_in(page, server.url, user)
    page.context.clear_cookies()
    say(page, "hello")
    expect(page.get_by_role("alert")).to_have_text("Nobody is logged in.")
    expect(page.locator("#message")).to_have_value("hello")
    page.context.close()


def test_leaving_closes_the_desk_for_the_next_one(enter: Enter, user: str) -> None:
    page = enter(user)
    page.click("#logout")
    expect(page.locator("#name")).to_be_visible()
    expect(page.locator(".status")).to_have_count(0)


def test_a_newcomer_reads_what_this_is_and_the_line_that_does_it(server: Running, browser: Browser) -> None:
    complaints: list[str] = []
    page = open_page(browser, complaints)
    page.goto(server.url)
    expect(page.locator(".login")).to_contain_text("pushes from a Python application to the pages of one user")
    expect(page.locator("body")).not_to_contain_text("Offline")
    assert complaints == []  # of the page; the text that follows has no icon
    page.click(".login a")
    expect(page.locator("body")).to_contain_text("self._flow.push(user, type, report)")
    page.context.close()
