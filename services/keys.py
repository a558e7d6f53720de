"""What `seqserve keys` does: makes API keys, lists them, takes them back."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.table import Table

from services.gateway.protection.client import Priority
from services.gateway.protection.keys import ApiKey, make_key, read_keys, write_keys


def create_key(
    file: Path,
    name: str,
    *,
    rate_per_s: float,
    burst: int,
    daily_quota: int,
    priority: Priority,
    models: list[str],
    can_configure: bool,
    expires_in_days: int,
) -> str:
    """Adds a key to a file, and returns it: it is nowhere else.

    Raises:
        ValueError: the file holds something else, or a value is out of range.
        OSError: it cannot be written.
    """
    keys = read_keys(file) if file.exists() else []
    key, key_id, hashed = make_key()
    expires = datetime.now(UTC) + timedelta(days=expires_in_days) if expires_in_days else None
    added = ApiKey(
        id=key_id,
        name=name,
        sha256=hashed,
        priority=priority,
        models=models or None,
        can_configure=can_configure,
        rate_per_s=rate_per_s,
        burst=burst or max(1, round(rate_per_s)),
        daily_quota=daily_quota,
        expires=expires,
    )
    write_keys(file, [*keys, added])
    return key


def list_keys(file: Path) -> Table:
    """What a file holds.

    Raises:
        ValueError: it is not a file of keys.
        OSError: it cannot be read.
    """
    table = Table("id", "name", "per second", "burst", "per day", "priority", "models", "configures", "expires")
    for key in read_keys(file):
        models = "all" if key.models is None else " ".join(key.models)
        expires = key.expires.date().isoformat() if key.expires else "never"
        rate, quota = (f"{key.rate_per_s:g}" if key.rate_per_s else "any"), str(key.daily_quota or "any")
        configures = "yes" if key.can_configure else "no"
        table.add_row(key.id, key.name, rate, str(key.burst), quota, key.priority, models, configures, expires)
    return table


def revoke_key(file: Path, key_id: str) -> str:
    """Takes a key out of a file; returns whose it was.

    Raises:
        ValueError: there is no such key, or it is not a file of keys.
        OSError: it cannot be written.
    """
    keys = read_keys(file)
    found = next((key for key in keys if key.id == key_id), None)
    if found is None:
        raise ValueError(f"{file} has no key '{key_id}'")
    write_keys(file, [key for key in keys if key.id != key_id])
    return found.name
