"""The numbers messageflow promises, measured beside a peer in the same run: `python -m benchmarks --short`."""
