"""What the shell calls: the command line, or what to install where there is only the publisher."""

from __future__ import annotations

import sys

from messageflow.extras import missing


def main() -> None:
    """Run the command line of this process."""
    try:
        from messageflow.cli.main import main as command
    except ImportError as error:
        if sentence := missing(error, f"`{' '.join(['messageflow', *sys.argv[1:2]])}`"):
            sys.exit(f"messageflow: {sentence}")
        raise
    command()
