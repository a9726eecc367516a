"""A Redux store in the browser that Python dispatches into: a toggle, notifications, a credit card that is checked."""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections import defaultdict
from typing import Any

from flask import Flask, render_template, request, session

from messageflow.integrations.flask import MessageFlow

app = Flask(__name__)
app.secret_key = "yours; this one signs the cookie that gives each visitor a name"


def visitor() -> str:
    name: str = session.setdefault("user", secrets.token_hex(8))  # in place of your login
    return name


messageflow = MessageFlow(app, user=visitor)
numbers = itertools.count(1)
toggle = False  # this and the cards in place of your database
cards: defaultdict[str, dict[int, dict[str, Any]]] = defaultdict(dict)


@app.get("/")
def page() -> str:
    messageflow.mark_position()  # what is pushed from here on arrives, so the state may be read
    state = {"toggle": toggle, "cards": cards[visitor()]}
    return render_template("page.html", state=state)


@app.post("/toggle")
def flip() -> tuple[str, int]:
    global toggle
    toggle = not toggle
    messageflow.broadcast("toggle/set", toggle)
    return "", 204


@app.post("/cards")
def submit() -> tuple[str, int]:
    """Answer at once; the bank is asked in a thread, and the page is told what came of it."""
    digits = "".join(filter(str.isdigit, str(request.get_json())))[:19]
    job = (visitor(), next(numbers), digits)
    tell(*job, state="checking")
    threading.Thread(target=check, args=job, daemon=True).start()
    return "", 202


def check(user: str, number: int, digits: str) -> None:
    time.sleep(1.5)  # the bank takes its time
    good = is_card_number(digits)
    tell(user, number, digits, state="accepted" if good else "refused")
    text = f"Your card {digits[-4:]} was {'accepted' if good else 'refused'}."
    messageflow.push(user, "notifications/shown", {"text": text, "good": good})


def tell(user: str, number: int, digits: str, state: str) -> None:
    cards[user][number] = {"id": number, "last": digits[-4:], "state": state}
    messageflow.push(user, "cards/changed", cards[user][number])


def is_card_number(digits: str) -> bool:
    """Whether the last digit fits the others, as Luhn has it."""
    doubled = [sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2]]
    return len(digits) >= 12 and (sum(doubled) + sum(map(int, digits[-1::-2]))) % 10 == 0
