"""Names that nobody knows, in what people write: refused, with the nearest right one."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence

from messageflow.errors import ConfigurationError


def refuse_unknown(what: str, given: Iterable[str], known: Sequence[str], written: Callable[[str], str] = str) -> None:
    """See that names are known.

    Args:
        what: they name.
        given: the names.
        known: those that there are.
        written: how a name is spelled where it stands.

    Raises:
        ConfigurationError: one is not.
    """
    for name in given:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {written(nearest[0])}?" if nearest else "`messageflow settings` lists them all"
            raise ConfigurationError(f"unknown {what}: {written(name)}; {hint}")
