"""Keys, secrets and names as people leave them in files, variables, flags and tables: with a line end, with spaces.

The gateway and those who call it read them by these functions, so that both have the same.

Pure.
"""

from __future__ import annotations

SECRET_BYTES = 32  # as many as the hash of HS256 has; a shorter secret is weaker than the signature it makes
SEPARATOR = ","


def credential(text: str) -> str:
    """Return a key or a secret without what stands around it: white space, line ends, the mark some editors leave."""
    return text.strip().strip("\ufeff").strip()


def credentials(text: str) -> tuple[str, ...]:
    """Return secrets that are separated by commas, which is how they are rotated: the first one signs."""
    return tuple(filter(None, map(credential, text.split(SEPARATOR))))


def signing_secret(text: str) -> str:
    """Return the first of some secrets; empty when there is none."""
    return next(iter(credentials(text)), "")
