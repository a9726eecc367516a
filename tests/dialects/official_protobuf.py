"""The client's side of the native protocol in Protobuf: the official messages, read and written by Google's library.

To the official fields are added those of ours, as docs/protocol.md has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from centrifuge.protocol import client_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from messageflow.dialects.protobuf import PROTOBUF
from messageflow.gateway.stream_routes import EMULATED_BYTES
from messageflow.testing.memory_connection import Carrier

TEXT, NUMBER, MESSAGE = FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_MESSAGE
OURS = {
    "ConnectRequest": [("former", 1000, TEXT)],
    "SubscribeRequest": [("tag", 1000, TEXT), ("type", 15, NUMBER)],  # the latter official, and newer than the package
    "PublishRequest": [("idempotency_key", 1000, TEXT)],
    "StreamPosition": [("tag", 1000, TEXT)],
    "SendRequest": [("key", 1000, TEXT), ("age", 1001, NUMBER)],
    "Publication": [("tag", 1000, TEXT)],
    "SubscribeResult": [("tag", 1000, TEXT)],
    "HistoryResult": [("tag", 1000, TEXT)],
    "Subscribe": [("tag", 1000, TEXT)],
    "Moved": [("offset", 1, NUMBER), ("tag", 2, TEXT), ("count", 3, NUMBER)],
    "SendResult": [],
    "Push": [("moved", 1000, MESSAGE)],
    "Reply": [("send", 1000, MESSAGE)],
}
PASSED_OVER = {"ConnectRequest": "headers", "SubscribeRequest": "tf"}
"""What we do not know: Google's library would find fault with what is within, where we pass the field over."""
ALWAYS: dict[str, dict[str, Any]] = {  # what JSON always has, and Protobuf leaves out where it is empty
    "ClientInfo": {"user": "", "client": ""},
    "PresenceResult": {"presence": {}},
    "PresenceStatsResult": {"num_clients": 0, "num_users": 0},
    "HistoryResult": {"publications": [], "epoch": "", "offset": 0},
    "Unsubscribe": {"reason": ""},
}


def _make_classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto()
    client_pb2.DESCRIPTOR.CopyToProto(file)
    types = {each.name: each for each in file.message_type}
    for message in file.message_type:
        for entry in message.nested_type:
            entry.options.ClearField("map_entry")  # a map is then the list of its entries, in their order
    for name, passed_over in PASSED_OVER.items():
        kept = [field for field in types[name].field if field.name != passed_over]
        del types[name].field[:]
        types[name].field.extend(kept)
    for name, fields in OURS.items():
        message = types.get(name) or file.message_type.add(name=name)
        for field, number, kind in fields:
            added = message.field.add(name=field, number=number, type=kind, label=FieldDescriptor.LABEL_OPTIONAL)
            if field == "former":
                added.label = FieldDescriptor.LABEL_REPEATED
            if field == "age":
                added.proto3_optional = True
                added.oneof_index = len(message.oneof_decl)
                message.oneof_decl.add(name="_age")
            if kind == MESSAGE:
                added.type_name = f".{file.package}.{'Moved' if field == 'moved' else 'SendResult'}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    made = pool.FindFileByName(file.name).message_types_by_name
    return {name: message_factory.GetMessageClass(each) for name, each in made.items()}


CLASSES: dict[str, Any] = _make_classes()
Command, Reply = CLASSES["Command"], CLASSES["Reply"]


def is_map(field: Any) -> bool:
    return field.message_type is not None and field.message_type.name.endswith("Entry")


def fill(message: Any, fields: dict[str, Any]) -> Any:
    """Set what is known of a JSON object; what applications say becomes JSON within."""
    for name, value in fields.items():
        field = message.DESCRIPTOR.fields_by_name.get(name)
        if field is None or (value is None and field.type != field.TYPE_BYTES):
            continue
        target = getattr(message, name)
        if is_map(field):
            for key, each in value.items():
                fill(target.add(), {"key": key, "value": each})
        elif field.type == field.TYPE_MESSAGE:
            target.SetInParent()
            fill(target, value)
        elif isinstance(value, list) and field.type != field.TYPE_BYTES:
            target.extend(value)
        else:
            setattr(message, name, msgspec.json.encode(value) if field.type == field.TYPE_BYTES else value)
    return message


def to_json(message: Message) -> dict[str, Any]:
    """Return what the native dialect says as JSON."""
    found: dict[str, Any] = {
        field.name: _to_value(field, getattr(message, field.name)) for field, _ in message.ListFields()
    }
    if found.get("count") == 1:  # what it is for the native dialect when it does not say
        del found["count"]
    return ALWAYS.get(message.DESCRIPTOR.name, {}) | found


def _to_value(field: Any, value: Any) -> Any:
    if is_map(field):
        return {each.key: to_json(each.value) if isinstance(each.value, Message) else each.value for each in value}
    if field.type == field.TYPE_MESSAGE:
        return [to_json(each) for each in value] if field.is_repeated else to_json(value)
    return msgspec.json.decode(value) if field.type == field.TYPE_BYTES else value


def varint(value: int) -> bytes:
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def write(commands: Sequence[dict[str, Any]]) -> bytes:
    """Return commands as one message of the dialect."""
    messages = [fill(Command(), command).SerializeToString() for command in commands]
    return b"".join([varint(len(each)) + each for each in messages])


def read_messages(data: bytes) -> list[Any]:
    """Return the replies in what was written at once."""
    return [Reply.FromString(each) for each in split(data)]


def split(data: bytes) -> list[bytes]:
    """Return the messages, each without the length before it."""
    parts, at = [], 0
    while at < len(data):
        length = shift = 0
        while True:
            byte = data[at]
            length |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                break
        assert at + length <= len(data)
        parts.append(data[at : at + length])
        at += length
    return parts


def read(data: bytes) -> list[dict[str, Any]]:
    """The same as JSON."""
    return [to_json(message) for message in read_messages(data)]


CARRIER = Carrier(PROTOBUF, EMULATED_BYTES, write, read)
