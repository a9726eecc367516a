"""Channels: consumers run over messageflow's brokers, with `MessageflowChannelLayer` as their channel layer.

CHANNEL_LAYERS = {"default": {"BACKEND": "messageflow.integrations.channels.MessageflowChannelLayer"}}

channel_layer        what Channels asks of a layer
layer_settings       what `CONFIG` of a layer says
layer_connection     the WebSocket by which a process hears
consumer_queues      what waits here for consumers, and who is in which group
competing_consumers  who of several workers gets a message
large_messages       those that are too large for one publication
"""

from __future__ import annotations

from messageflow.integrations.channels.channel_layer import MessageflowChannelLayer as MessageflowChannelLayer
