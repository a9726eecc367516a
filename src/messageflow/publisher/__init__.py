"""The backend library: `Flow` and `AsyncFlow`.

    requests   what a call asks                                pure
    answers    how its answer reads                            pure
    attempts   whether and when to try again                   pure
    http1      bytes of HTTP requests and responses            pure
    batch      calls collected and sent together               pure
    encoding   Python values as JSON                           pure
    names      users, channels and types as exact text         pure
    tokens     what users connect with                         pure
    discovery  where the gateway is and which keys it knows
    pool, sync         the blocking edge
    aio_pool, aio      the asyncio edge
    inprocess          the short way, when the gateway is in this process
    direct             the way past the gateway, through the Redis that gateways share
    processes          what belongs to one process, and is not taken along by its children
    peers              whom a flow speaks to, in the words of its errors  pure

Never sees the hub or the gateway: it speaks to them by the HTTP API, or by what `messageflow.direct` leaves in Redis.
"""
