"""The backend library: `Flow` and `AsyncFlow`.

    requests   what a call asks                                pure
    responses  how its answer reads                            pure
    retry      whether and when to try again                   pure
    http1      bytes of HTTP requests and responses            pure
    batch      calls collected and sent together               pure
    encoding   Python values as JSON                           pure
    names      users, channels and types as exact text         pure
    tokens     what users connect with                         pure
    discovery  where the gateway is and which keys it knows
    pool, flow            the blocking edge
    aio_pool, async_flow  the asyncio edge
    inprocess             the short way, when the gateway is in this process
    redis_target          the way past the gateway, through the Redis that gateways share
    processes             what belongs to one process, and is not taken along by its children
    error_texts           whom a flow speaks to, in the words of its errors  pure

Never sees the hub or the gateway: it speaks to them by the HTTP API, or by what `messageflow.redis_publisher` leaves
in Redis.
"""
