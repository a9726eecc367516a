"""`python -m messageflow.cli`, the same as `messageflow`."""

from messageflow.cli.entry import main

main()
