"""How the messages of an endpoint come apart into items, which are cached one by one, and together again."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from seqserve.tfserving.v1.example_pb2 import BytesList


@dataclass(frozen=True)
class Items:
    """The repeated fields that hold the items of a request, and their answers in the same order.

    Attributes:
        request_field: repeated field of the request.
        response_field: repeated field of the response.
        echoed_field: field of an item that its answer only repeats; "" for none.
    """

    request_field: str
    response_field: str
    echoed_field: str = ""

    def count(self, request: Any) -> int:
        """How many items there are."""
        return len(getattr(request, self.request_field))

    def split(self, request: Any) -> tuple[list[bytes], bytes]:
        """The items without what is only echoed, and everything else of a request, serialized."""
        items = getattr(request, self.request_field)
        if self.echoed_field:
            items = [_without(item, self.echoed_field) for item in items]
        options = type(request)()
        for field, value in request.ListFields():
            if field.name != self.request_field:
                _set(options, field.name, value)
        return [_serialize(item) for item in items], _serialize(options)

    def pick(self, _request: Any, items: Sequence[bytes], indices: Sequence[int]) -> list[bytes]:
        """Some of the items that `split` gave."""
        return [items[i] for i in indices]

    def frame(self, items: Sequence[bytes], options: bytes) -> bytes:
        """A request for items with the options that `split` gave, serialized."""
        # Repeated messages and repeated bytes look the same on the wire; items are field 1 of every request.
        return options + BytesList(value=items).SerializeToString()

    def rename(self, field: str, indices: Sequence[int]) -> str:
        """A field of a request for the items that `pick` gave, by its name in the whole request."""
        if not (match := re.match(rf"{self.request_field}\[(\d+)\]", field)):
            return field
        return f"{self.request_field}[{indices[int(match[1])]}]{field[match.end() :]}"

    def answers(self, response: Any) -> list[bytes]:
        """The answers of a response, serialized."""
        return [_serialize(answer) for answer in getattr(response, self.response_field)]

    def join(self, request: Any, response: Any, payloads: Sequence[bytes]) -> None:
        """Puts answers into a response, in the order of the items."""
        answers = getattr(response, self.response_field)
        for item, payload in zip(getattr(request, self.request_field), payloads, strict=True):
            answer = answers.add()
            answer.MergeFromString(payload)
            if self.echoed_field:
                setattr(answer, self.echoed_field, getattr(item, self.echoed_field))


@dataclass(frozen=True)
class Whole:
    """A request that is one item.

    Attributes:
        ignored_fields: fields of the request that the answer does not depend on, beside the version that answers.
    """

    ignored_fields: tuple[str, ...] = ()

    def count(self, request: Any) -> int:
        """One."""
        return 1

    def split(self, request: Any) -> tuple[list[bytes], bytes]:
        """The request without what is ignored, serialized."""
        if any(getattr(request, field) for field in self.ignored_fields):
            copied = type(request)()
            copied.CopyFrom(request)
            for field in self.ignored_fields:
                copied.ClearField(field)
            request = copied
        return [_serialize(request)], b""

    def pick(self, request: Any, _items: Sequence[bytes], _indices: Sequence[int]) -> list[bytes]:
        """The request with what is ignored, serialized."""
        return [_serialize(request)]

    def frame(self, items: Sequence[bytes], _options: bytes) -> bytes:
        """The request."""
        return items[0]

    def rename(self, field: str, indices: Sequence[int]) -> str:
        """The field."""
        return field

    def answers(self, response: Any) -> list[bytes]:
        """The response, serialized."""
        return [_serialize(response)]

    def join(self, request: Any, response: Any, payloads: Sequence[bytes]) -> None:
        """Reads the response."""
        response.MergeFromString(payloads[0])


def _without(item: Message, field: str) -> Message:
    if not getattr(item, field):
        return item
    copied = type(item)()
    copied.CopyFrom(item)
    copied.ClearField(field)
    return copied


def _set(message: Message, field: str, value: Any) -> None:
    if isinstance(value, str | bytes | int | float):
        setattr(message, field, value)
    elif isinstance(value, Message):
        getattr(message, field).CopyFrom(value)
    else:
        getattr(message, field).extend(value)


def _serialize(message: Message) -> bytes:
    return message.SerializeToString(deterministic=True)
