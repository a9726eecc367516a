"""The backend library: `Flow` and `AsyncFlow`.

    flow, async_flow  the two faces, one to call and one to await
    flow_base         what they have in common: how a call is performed, over the I/O of either
    requests          what a call asks                                pure
    call              one call, as a value                            pure
    responses         how its answer reads                            pure
    retry             whether and when to try again                   pure
    collector         the calls of what collects                      pure
    batch             calls collected and sent together               pure
    transaction       what a block publishes, at its end              pure
    later             the calls that return at once
    later_queue       what waits to be sent later                     pure
    later_sender      the thread that sends it
    encoding          Python values as JSON                           pure
    arguments         users, channels and types as exact text         pure
    tokens            what users connect with                         pure
    error_texts       what a flow speaks to, in the words of its errors  pure
    discovery         where the gateway is and which keys it knows
    stream_opening    how a program comes to the event stream of a gateway
    stand_in          what all flows use in place of a gateway in tests
    inprocess         the short way, when the gateway is in this process
    redis_target      the way past the gateway, through the Redis that gateways share

Never sees the hub or the gateway: it speaks to them by the HTTP API over `messageflow.client_io`, or by what
`messageflow.redis_publisher` leaves in Redis.
"""
