"""API keys: how they look, how they are kept, and who a key belongs to.

A key is `sq_<id>_<secret>`, the secret 256 random bits. Only its SHA-256 is kept: nobody can try so many, so a slow
hash would protect nothing, and would cost every request.
"""

import hashlib
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from services.gateway.protection.client import Client, Priority

PREFIX = "sq"
ID_BYTES, SECRET_BYTES = 5, 32
MAX_KEY_CHARS = 128


class ApiKey(BaseModel):
    """One key as its file holds it."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, Field(pattern=r"^[0-9a-z]{1,32}$")]
    name: str = Field(max_length=128, description="Who it was given to.")
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    priority: Priority = "normal"
    models: list[str] | None = None
    can_configure: bool = False
    rate_per_s: float = Field(0, ge=0)
    burst: int = Field(1, ge=1)
    daily_quota: int = Field(0, ge=0)
    expires: datetime | None = None

    def to_client(self) -> Client:
        """Who it stands for."""
        return Client(
            id=self.id,
            priority=self.priority,
            models=None if self.models is None else frozenset(self.models),
            can_configure=self.can_configure,
            rate_per_s=self.rate_per_s,
            burst=self.burst,
            daily_quota=self.daily_quota,
        )


KEYS = TypeAdapter(list[ApiKey])


class KeyRing:
    """The keys that are good."""

    def __init__(self, keys: list[ApiKey]) -> None:
        """Takes the keys of a file."""
        self._keys = {key.id: (key, key.to_client()) for key in keys}

    def find(self, presented: str) -> Client | None:
        """Who a presented key belongs to; None if it is not good."""
        parts = presented.split("_", 2)
        if len(presented) > MAX_KEY_CHARS or len(parts) != 3 or parts[0] != PREFIX or parts[1] not in self._keys:
            return None
        key, client = self._keys[parts[1]]
        is_right = secrets.compare_digest(_hash(presented), key.sha256)
        is_over = key.expires is not None and key.expires <= datetime.now(UTC)
        return client if is_right and not is_over else None


def make_key() -> tuple[str, str, str]:
    """A new key: itself, its id, and its SHA-256."""
    key_id = secrets.token_hex(ID_BYTES)
    key = f"{PREFIX}_{key_id}_{secrets.token_urlsafe(SECRET_BYTES)}"
    return key, key_id, _hash(key)


def read_keys(file: Path) -> list[ApiKey]:
    """Reads a file of keys.

    Raises:
        ValueError: it is not a list of keys; the text says where, and shows no value.
        OSError: it cannot be read.
    """
    try:
        return KEYS.validate_json(file.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{file} is not a list of API keys: {where or 'file'}: {first['msg']}") from None


def write_keys(file: Path, keys: list[ApiKey]) -> None:
    """Writes a file of keys at once, readable by its owner alone."""
    new = file.with_name(f".{file.name}.new")
    new.touch(mode=0o600)
    new.write_bytes(KEYS.dump_json(keys, indent=2, exclude_none=True) + b"\n")
    new.replace(file)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()
