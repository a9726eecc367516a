"""The ancestors' meetup page: how many are looking at it, and a form whose city reaches every browser."""

from flask import Flask, Response, send_file

from messageflow import Event, Flow

app, flow, here = Flask(__name__), Flow(), set[str]()


@app.get("/")
def page() -> Response:
    return send_file("page.html")


@flow.on_connect
@flow.on_disconnect
def count(event: Event) -> dict[str, str]:
    here.add(event.client) if event.name == "connect" else here.discard(event.client)
    flow.broadcast("count", len(here))
    return {"user": event.client}


@flow.rpc("count")
def tell(event: Event) -> int:
    return len(here)


@flow.on("city")
def add_city(event: Event) -> None:
    flow.broadcast("city", event.data)
