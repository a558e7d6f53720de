"""The protocol's messages as its JSON: every field, whole numbers as numbers (protobuf's own JSON makes them text)."""

from typing import Any

from google.protobuf.message import Message

ENUM_PREFIX = "DATA_"  # our protos' style asks for it; the protocol says TYPE_FP32


def to_dict(message: Message) -> dict[str, Any]:
    """A message as a JSON object; messages in it that are not set are left out."""
    return {
        field.name: _to_value(field, getattr(message, field.name))
        for field in message.DESCRIPTOR.fields
        if field.is_repeated or field.message_type is None or message.HasField(field.name)
    }


def _to_value(field: Any, value: Any) -> Any:
    if field.is_repeated:
        return [to_dict(item) for item in value] if field.message_type else list(value)
    if field.message_type:
        return to_dict(value)
    if field.enum_type:
        return field.enum_type.values_by_number[value].name.removeprefix(ENUM_PREFIX)
    return value
