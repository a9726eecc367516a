"""`python -m messageflow.cli`, the same as `messageflow`."""

from messageflow.cli.main import main

main()
