"""What messageflow costs at a size nobody has measured: a cost model, and a reconnect storm simulated with it.

`python -m benchmarks.scale` says how; `docs/scale.md` is what it says.
"""
