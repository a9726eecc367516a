"""Cuts the network between the gateway and one browser, to see it come back. For show: there is nothing to copy here.

`messageflow demo` puts a network that can be cut between this application's gateway and its pages; `messageflow run`
does not, and the page then offers no cut.
"""

from __future__ import annotations

from flask import Blueprint, abort, current_app, jsonify, request, session
from flask.typing import ResponseReturnValue

CUT_SECONDS = 20

routes = Blueprint("network", __name__)


def can_be_cut() -> bool:
    return "network" in current_app.extensions


@routes.post("/network")
def change_network() -> ResponseReturnValue:
    """Reset the WebSockets of this browser and refuse new ones for some seconds, or let them in again."""
    if "user" not in session:
        abort(401, "Nobody is logged in.")
    if not can_be_cut():
        abort(404, "Only `messageflow demo` has a network that can be cut.")
    network, cookie = current_app.extensions["network"], current_app.config["SESSION_COOKIE_NAME"]
    browser = f"{cookie}={request.cookies[cookie]}"  # as its requests say it, those for a WebSocket too
    body = request.get_json()
    seconds = CUT_SECONDS if isinstance(body, dict) and body.get("cut") else 0
    if seconds:
        network.cut(browser, seconds)
    else:
        network.mend(browser)
    return jsonify(status="success", data={"seconds": seconds})
