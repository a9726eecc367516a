"""What of a gateway's safety a setting relaxes: said as a warning at each start, and by `messageflow doctor`.

Owns which settings those are and what they mean; never refuses one, which is for `settings_check`.
"""

from __future__ import annotations

import logging

from msgspec.structs import replace

from messageflow.core.namespaces import NamespaceOptions, Namespaces
from messageflow.gateway.settings import Settings

log = logging.getLogger("messageflow.gateway")

VERBS = ("subscribe", "publish", "history", "presence")
ALL_RIGHTS = {f"allow_{verb}_for_{whom}": True for verb in VERBS for whom in ("client", "anonymous")}


def find_relaxations(settings: Settings) -> dict[str, str]:
    """Return what each relaxation that is set means, by the setting."""
    found = {}
    if settings.client_insecure:
        found["client_insecure"] = "whoever reaches this gateway may read and publish without a token"
    if settings.tokens.allow_token_without_expiry:
        found["allow_token_without_expiry"] = (
            "a token that somebody loses is good for ever, and one that is revoked again after token_lifetime_limit"
        )
    if settings.namespaces.default.allow_subscribe_for_client:
        found["channel.without_namespace.allow_subscribe_for_client"] = (
            "every user may subscribe to every channel of no namespace, whatever it is for"
        )
    return found


def warn_of_relaxations(settings: Settings) -> None:
    """Log each relaxation that is set."""
    for setting, effect in find_relaxations(settings).items():
        log.warning("relaxed", extra={"setting": setting, "effect": effect})


def explain_relaxations(settings: Settings) -> list[str]:
    """Return each relaxation that is set as a sentence."""
    return [f"{setting} is set: {effect}" for setting, effect in find_relaxations(settings).items()]


def apply_insecurity(settings: Settings) -> Settings:
    """Return settings that say what `client_insecure` says, where it is set: clients need neither tokens nor rights.

    Nobody but programs and pages of this machine then: a page that comes by a name that was pointed here stays out.
    """
    if not settings.client_insecure:
        return settings
    spaces = settings.namespaces
    opened = Namespaces(
        default=_open(spaces.default),
        named={name: _open(options) for name, options in spaces.named.items()},
        personal=spaces.personal,
        broadcast=spaces.broadcast,
        patterns={pattern: _open(options) for pattern, options in spaces.patterns.items()},
    )
    return replace(settings, namespaces=opened, tokens=replace(settings.tokens, allow_anonymous=True), dev=True)


def _open(options: NamespaceOptions) -> NamespaceOptions:
    return replace(options, **ALL_RIGHTS)
