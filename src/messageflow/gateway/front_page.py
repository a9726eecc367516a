"""The page at the printed address of a gateway that runs alone: what this is, where things are, what to type next.

Tells nothing that a stranger may not know: no version, no address, no key.
"""

from __future__ import annotations

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>messageflow</title>
<style>
  body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem; }}
  code, pre {{ font: 14px/1.5 ui-monospace, monospace; }}
  pre {{ overflow-x: auto; }}
  td {{ padding-right: 1.5rem; vertical-align: top; }}
  :root {{ color-scheme: light dark; }}
</style>
<h1>A messageflow gateway runs here</h1>
<p>It pushes what your backend has to say to your users' browsers. It has no pages of its own but this one.</p>
<table>
  <tr><td><code>/messageflow.js</code><td>the browser client, for a <code>&lt;script&gt;</code> tag
  <tr><td><code>/connection/websocket</code><td>where it connects
  <tr><td><code>{base}api/&lt;method&gt;</code><td>calls of a backend, with the API key;
    <code>/api/&lt;method&gt;</code> is the same
  <tr><td><code><a href="{base}health">{base}health</a></code><td>whether it lives
  <tr><td><code><a href="{base}ready">{base}ready</a></code><td>whether it should be given work
  <tr><td><code><a href="{base}metrics">{base}metrics</a></code><td>how it is, for Prometheus
</table>
<p>If it was started with <code>--dev</code>, from a terminal in the same directory:</p>
<pre>messageflow listen --user alice
messageflow push alice report/ready '{{"id": 7}}'</pre>
<p>From Python, there too:</p>
<pre>from messageflow import Flow
Flow().push("alice", "report/ready", {{"id": 7}})</pre>
<p>Read on: <code>docs/tutorial.md</code> of the project leads from here to a page of yours;
<code>messageflow --help</code> and <code>messageflow settings</code> say the rest.</p>
</html>
"""
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
}


def make_front_page(base: str) -> str:
    """Return the page of a gateway with this base path."""
    return _PAGE.format(base=base)
