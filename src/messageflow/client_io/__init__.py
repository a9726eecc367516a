"""The one kernel under all flows: coroutines that never wait by themselves, over blocking or over asyncio I/O.

    outcome        what an exchange brings: a response, or why there is none  pure
    kernel         the contracts, an attempt and how it breaks, and `run_now`
    pool           connections that are kept, and exchanges over them
    blocking_io    sockets that wait, for threads and greenlets
    asyncio_io     transports of the running event loop
    sockets        where a socket is to be connected, how it is set up, and its TLS
    processes      what belongs to one process, and is not taken along by its children
    http1          HTTP/1.1 as bytes, the first codec                         pure
    http_client    the calls of the server API over HTTP
    streamed_answer  an answer over HTTP that is read while it comes, on asyncio I/O alone
    redis_codec    the protocol of Redis as bytes, the second codec

All between a call and its socket is written once. On asyncio I/O the coroutines wait; on blocking I/O none of them ever
does, since each thing they wait for has already happened when it returns, and one `send(None)` runs them to their end.

Knows nothing of what is called: that is the publisher's, and `redis_publisher`'s.
"""
