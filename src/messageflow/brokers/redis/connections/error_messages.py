"""Error messages about a Redis that cannot be used: what went wrong, and what to write instead.

Pure. Owns the sentences, never when they are shown.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator

NOT_FOR_HOST = (62, 64)  # OpenSSL's codes for a certificate of another host, another address
EXPIRED = (9, 10)  # not valid yet, not any more

COMMAND = re.compile(r"run the '([\w|-]+)' command")


def explain_connection_failure(error: BaseException) -> str:
    """Return why a connection could not be made, and what to do about it."""
    text = str(error) or type(error).__name__
    for cause in list_causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"{_explain_certificate(cause)} ({cause.verify_message})"
        if isinstance(cause, ssl.SSLError):
            return f"TLS did not come about ({text}); if it does not speak TLS, write redis:// instead of rediss://"
        if isinstance(cause, FileNotFoundError):
            return "a file that the URL names (ssl_ca_certs, ssl_certfile, ssl_keyfile or a socket) does not exist"
        if isinstance(cause, ConnectionResetError | EOFError):
            return f"{text}; if it speaks TLS, write rediss:// instead of redis://"
        if isinstance(cause, TimeoutError):
            return (
                "it did not answer in time; look at the address, and whether it should be redis:// or rediss:// (TLS)"
            )
    return explain_error_reply(text)


def explain_error_reply(text: str) -> str:
    """Return what an answer means that a server gave instead of what was asked for."""
    lowered = text.lower()
    if "authentication required" in lowered:
        return "it wants a password: write redis://user:password@host, or redis://:password@host for its default user"
    if "invalid username-password pair" in lowered or "invalid password" in lowered:
        return "it does not know this user and password; look at both, and percent-encode what is special in a URL"
    if "without any password configured" in lowered:
        return "a password was given and it knows none for the default user; leave it out, or name the user"
    if found := COMMAND.search(text):
        name = found[1]
        return f"this user may not use {name.upper()}: let its administrator add +{name}; see docs/redis.md"
    return text


def _explain_certificate(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in NOT_FOR_HOST:
        return "its certificate is for another host: write the host that the certificate names"
    if error.verify_code in EXPIRED:
        return "its certificate is not valid at this time: look at the clock, or renew it"
    return (
        "no authority that this machine trusts has signed its certificate: name who did with "
        "?ssl_ca_certs=/path/to/authority.pem at the end of the URL"
    )


def list_causes(error: BaseException) -> Iterator[BaseException]:
    """Return an error, what it was raised for, and so on."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
