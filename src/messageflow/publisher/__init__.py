"""The backend library: `Flow` and `AsyncFlow`.

    requests   what a call asks and how its answer reads       pure
    attempts   whether and when to try again                   pure
    http1      bytes of HTTP requests and responses            pure
    batch      calls collected and sent together               pure
    encoding, results, discovery, tokens
    pool, sync         the blocking edge
    aio_pool, aio      the asyncio edge
    inprocess          the short way, when the gateway is in this process

Never sees the hub or the gateway: it speaks to them by the HTTP API alone.
"""
