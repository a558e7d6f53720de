"""What the cache keeps: one answer to one item, and the version that gave it."""

import hashlib
from dataclasses import dataclass
from typing import Literal

SEPARATOR = b"\n"

Source = Literal["local", "redis", "miss", "coalesced"]


@dataclass(frozen=True)
class Entry:
    """One answer.

    Attributes:
        version: version that answered, as text.
        payload: the serialized answer.
    """

    version: str
    payload: bytes

    def to_bytes(self) -> bytes:
        """As Redis holds it."""
        return self.version.encode() + SEPARATOR + self.payload

    @classmethod
    def from_bytes(cls, data: bytes) -> "Entry":
        """What `to_bytes` made."""
        version, _, payload = data.partition(SEPARATOR)
        return cls(version.decode(), payload)


@dataclass(frozen=True)
class Found:
    """An entry and where it came from.

    Attributes:
        entry: the answer.
        source: this process, Redis, the service ("miss"), or a call that somebody else had made ("coalesced").
    """

    entry: Entry
    source: Source


def item_key(method: str, state: str, options: bytes, item: bytes) -> str:
    """128-bit key of one item under one state of a model.

    Args:
        method: full gRPC method path.
        state: the version and what its files are.
        options: what else the answer depends on, serialized.
        item: the item, serialized, without what is only echoed.
    """
    hashed = hashlib.blake2b(digest_size=16)
    for part in (method.encode(), state.encode(), options, item):
        hashed.update(len(part).to_bytes(8, "big"))
        hashed.update(part)
    return hashed.hexdigest()
