"""What is installed beside the publisher, and the line a person types to have it.

`pip install messageflow-push` brings the publisher alone, so that it can be had in any worker; all else is an extra. A
library that is missing is found out where it is imported, and told by `missing`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

DISTRIBUTION = "messageflow-push"
"""The name in the package index, whose rule takes `messageflow` for the `message-flow` that is there."""

LIBRARIES = {
    "a2wsgi": "gateway",
    "click": "gateway",
    "cryptography": "gateway",
    "flask": "demo",
    "hiredis": "redis",
    "prometheus_client": "gateway",
    "redis": "redis",
    "rich": "gateway",
    "uvicorn": "gateway",
    "uvloop": "gateway",
    "websockets": "gateway",
    "zmq": "zeromq",
}
"""The extra that brings each library, by the name it is imported by."""


def install_line(extra: str) -> str:
    """Return what to type to have an extra."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"


def missing(error: ImportError, what: str) -> str | None:
    """Return the sentence for an import of ours that failed for want of an extra; None for any other error.

    What an application or another library could not import is its own affair, even if an extra would bring it.

    Args:
        error: as it was caught.
        what: needs the library, as the subject of the sentence.
    """
    library = (error.name or "").partition(".")[0]
    extra = LIBRARIES.get(library)
    if extra is None or not isinstance(error, ModuleNotFoundError) or not _is_ours(error):
        return None
    return f"{what} needs the library {library}, which is not installed: {install_line(extra)}"


@contextmanager
def needing(what: str, framework: str) -> Iterator[None]:
    """Let the imports of a block say what to install, where the framework they are about is not there.

    Args:
        what: needs the framework, as the subject of the sentence.
        framework: as it is imported, and as the extra is named that brings it.

    Raises:
        ModuleNotFoundError: as Python has it, with the line to type.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if not _is_ours(error):  # the framework is there, and lacks something itself
            raise
        sentence = f"{what} needs {framework}, which is not installed: {install_line(framework)}"
        raise ModuleNotFoundError(sentence, name=error.name) from None


def _is_ours(error: ImportError) -> bool:
    """Whether the import stands in a module of messageflow."""
    frame, importer = error.__traceback__, ""
    while frame is not None:
        name = str(frame.tb_frame.f_globals.get("__name__", ""))
        if not name.startswith(("importlib", "_frozen_importlib")):
            importer = name
        frame = frame.tb_next
    return importer.partition(".")[0] == "messageflow"
