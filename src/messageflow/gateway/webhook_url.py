"""The address of an application's webhook endpoint, taken apart. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

from messageflow.client_io.http1 import Endpoint

_PORTS = {"http": 80, "https": 443}


def parse_webhook_url(url: str) -> Endpoint:
    """Return where requests go: the path is the endpoint's prefix, as it is, a slash at its end included.

    Raises:
        ValueError: it is no http or https URL with a host, or carries a password, a query or a fragment.
    """
    parts = urlsplit(url)
    port = parts.port
    if parts.scheme not in _PORTS or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("not the URL of an endpoint")
    if "@" in parts.netloc or not url.isascii() or any(letter <= " " for letter in url):
        raise ValueError("no URL that a request could carry")
    return Endpoint(parts.scheme == "https", parts.hostname, port or _PORTS[parts.scheme], parts.path or "/", "")
