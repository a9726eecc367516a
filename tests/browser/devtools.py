"""A Chromium as people have it, spoken to by the DevTools protocol alone.

Playwright keeps every page visible and focused, and such pages are neither frozen nor discarded.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.browser.chromium import CHROMIUM, FLAGS
from tests.browser.pages import PATIENCE, until

DISCARDS = "chrome://discards/"
# What `chrome://discards` shows lies in shadow trees.
ALL = """(function all(root, found = []) {
  for (const element of root.querySelectorAll("*")) {
    found.push(element);
    if (element.shadowRoot) all(element.shadowRoot, found);
  }
  return found;
})(document)"""


class DevTools:
    """The browser: its tabs, of which the last opened is in front, the others hidden."""

    def __init__(self, websocket: ClientConnection) -> None:
        self._websocket = websocket
        self._last = 0

    def send(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        """Call a method of the protocol, of the browser or of one tab; return its result."""
        self._last += 1
        command = {"id": self._last, "method": method, "params": params} | ({"sessionId": session} if session else {})
        self._websocket.send(json.dumps(command))
        while True:
            answer = json.loads(self._websocket.recv(timeout=PATIENCE))
            if answer.get("id") == self._last:
                assert "error" not in answer, answer["error"]
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, url: str) -> Tab:
        """Open a tab, in front of the others."""
        return Tab(self, self.send("Target.createTarget", url=url)["targetId"])

    def find(self, url: str) -> Tab:
        """Return the tab that shows an address; after it was discarded it is another target."""
        found: list[str] = []

        def is_there() -> bool:  # where it is just being discarded or shown there is none for a moment
            targets = self.send("Target.getTargets")["targetInfos"]
            found[:] = [target["targetId"] for target in targets if target["url"] == url]
            return bool(found)

        until(is_there, f"no tab shows {url}")
        return Tab(self, found[0])

    def press(self, tab_url: str, action: str) -> None:
        """Do to a tab what `chrome://discards` offers: `Freeze`, `Urgent Discard`."""
        page = self.open(DISCARDS)
        rows = f"{ALL}.filter((each) => each.tagName === 'TR' && each.textContent.includes({json.dumps(tab_url)}))"
        links = f"{rows}.flatMap((row) => [...row.querySelectorAll('*')])"
        link = f"{links}.filter((each) => each.textContent.trim() === '[{action}]').at(-1)"
        until(lambda: page.evaluate(f"!!{link}"), f"no {action} for {tab_url}")
        page.evaluate(f"{link}.click()")


class Tab:
    """One tab."""

    def __init__(self, devtools: DevTools, target: str) -> None:
        self._devtools = devtools
        self._target = target
        self._session = devtools.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page, or None while it has none."""
        arguments = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        return self._devtools.send("Runtime.evaluate", self._session, **arguments)["result"].get("value")

    def show(self) -> None:
        """Bring it to the front."""
        self._devtools.send("Target.activateTarget", targetId=self._target)

    def detach(self) -> None:
        """Let go of it: a tab with DevTools is not discarded."""
        self._devtools.send("Target.detachFromTarget", sessionId=self._session)


@contextmanager
def devtools(directory: Path) -> Iterator[DevTools]:
    """Run a Chromium with a profile of its own."""
    profile = directory / "profile"
    profile.mkdir()
    (profile / "Local State").write_text('{"internal_only_uis_enabled": true}')  # for chrome://discards
    arguments = [*FLAGS, "--headless", "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen([CHROMIUM, *arguments], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        lines = iter(process.stderr)
        found = next(match for line in lines if (match := re.search(r"listening on (ws://\S+)", line)))
        with connect(found[1], max_size=None) as websocket:
            yield DevTools(websocket)
    finally:
        process.terminate()
        process.communicate()
