"""Django Channels: whoever connects is in one group, and gets the text of what is sent to it, over HTTP too."""

# mypy: disable-error-code="import-not-found, import-untyped, misc"

from __future__ import annotations

from typing import Any

from benchmarks.peers.channels_settings import configure
from benchmarks.peers.sending import GROUP

configure()

from channels.generic.http import AsyncHttpConsumer  # noqa: E402 - needs the settings
from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.routing import ProtocolTypeRouter  # noqa: E402


class Subscriber(AsyncWebsocketConsumer):
    """One connection."""

    groups = (GROUP,)  # entered before the upgrade is answered

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Send what a page says to the group."""
        await self.channel_layer.group_send(GROUP, {"type": "say", "text": text_data})

    async def say(self, event: dict[str, Any]) -> None:
        """Send on what was sent to the group."""
        await self.send(text_data=event["text"])


class Publishing(AsyncHttpConsumer):
    """A request with a text for the group."""

    async def handle(self, body: bytes) -> None:
        """Send it, and answer."""
        await self.channel_layer.group_send(GROUP, {"type": "say", "text": body.decode()})
        await self.send_response(200, b"")


application = ProtocolTypeRouter({"websocket": Subscriber.as_asgi(), "http": Publishing.as_asgi()})
