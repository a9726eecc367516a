"""What a token allows in channels: patterns, and what may be done in the channels they name.

    news:*                          subscribe
    org-7:*=subscribe,history       subscribe, and read the history
    org-7:board=publish             publish in this one

The patterns are those of `channel_patterns`. What stands behind the last `=` is what is allowed; without one, to
subscribe. A channel named without a star is allowed as a subscription token would allow it. A star stands for no
channel whose name keeps the user out: a private one (`$`), unless the pattern begins with `$` too, or one that is
limited to others; and nothing here ever names what is the server's own: personal channels, broadcasts, internal ones.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

from messageflow.core.channel_patterns import ALL, explain_pattern, matches
from messageflow.core.channels import INTERNAL_PREFIX, PERSONAL_PREFIX, PRIVATE_PREFIX, owned_by_server
from messageflow.core.namespaces import NamespaceOptions
from messageflow.core.permissions import is_limited_to_others
from messageflow.core.token_limits import MOST_GRANTS

Verb = Literal["subscribe", "publish", "history", "presence"]
"""What a client may want to do in a channel."""

VERBS: tuple[str, ...] = get_args(Verb)
SUBSCRIBE = frozenset({"subscribe"})


class Grant(NamedTuple):
    """What may be done in the channels that a pattern names.

    Args:
        pattern: names them.
        verbs: what may be done.
        by_application: whether the application said so, and not the token: a newer token changes nothing of it.
    """

    pattern: str
    verbs: frozenset[str] = SUBSCRIBE
    by_application: bool = False


def read_grant(text: str) -> Grant:
    """Return what an entry of the claim `allow` says.

    Raises:
        ValueError: it says nothing that can be; the message says why.
    """
    pattern, separator, said = text.rpartition("=")
    if not separator:
        pattern, verbs = text, SUBSCRIBE
    else:
        verbs = frozenset(verb.strip() for verb in said.split(","))
    if unknown := sorted(verbs.difference(VERBS)):
        raise ValueError(f"{text!r} allows {unknown[0]!r}: after the = stand some of {', '.join(VERBS)}")
    if problem := explain_pattern(pattern):
        raise ValueError(f"{text!r} names no channels: {problem}")
    if pattern.startswith((PERSONAL_PREFIX, INTERNAL_PREFIX)):
        raise ValueError(f"{text!r} cannot be allowed: what is pushed to a user comes by itself")
    return Grant(pattern, verbs)


@lru_cache(maxsize=1024)  # those of one organisation share them, and a storm of connects reads each once
def read_grants(texts: tuple[str, ...]) -> tuple[Grant, ...]:
    """Return what a claim `allow` says.

    Raises:
        ValueError: an entry says nothing that can be, or there are too many.
    """
    if len(texts) > MOST_GRANTS:
        raise ValueError(f"{len(texts)} entries are more than {MOST_GRANTS}: use patterns, such as news:*")
    return tuple(map(read_grant, texts))


def allows(grants: Iterable[Grant], verb: Verb, channel: str, options: NamespaceOptions, user: str) -> bool:
    """Whether one of these grants lets a user do something in a channel.

    Args:
        grants: of their token.
        verb: what they want.
        channel: where.
        options: of its namespace.
        user: who; empty for nobody.
    """
    if owned_by_server(channel):
        return False
    return any(
        verb in verbs
        and matches(pattern, channel)
        and (not pattern.endswith(ALL) or _may_star_name(pattern, channel, options, user))
        for pattern, verbs, _ in grants
    )


def _may_star_name(pattern: str, channel: str, options: NamespaceOptions, user: str) -> bool:
    """Whether a pattern with a star reaches a channel that it matches: not past what its name keeps the user from."""
    if channel.startswith(PRIVATE_PREFIX) and not pattern.startswith(PRIVATE_PREFIX):
        return False
    return not is_limited_to_others(channel, options, user)
