"""`seqserve keys`: makes API keys, lists them, takes them back."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from services.gateway.protection.client import Priority
from services.gateway.protection.keys import ApiKey, make_key, read_keys, write_keys
from services.terminal import console, fail, refusals

app = typer.Typer(no_args_is_help=True, help="API keys of a gateway.")

KeysFile = Annotated[Path, typer.Option("--file", help="JSON file of the keys, the gateway's KEYS_FILE")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="who gets it")],
    file: KeysFile,
    rate: Annotated[float, typer.Option(help="requests per second over time; 0 for any", min=0)] = 0,
    burst: Annotated[int, typer.Option(help="requests at once; one second's worth by default", min=0)] = 0,
    daily_quota: Annotated[int, typer.Option(help="requests per UTC day; 0 for any", min=0)] = 0,
    priority: Annotated[Priority, typer.Option(help="who is refused last when there is too much")] = "normal",
    model: Annotated[list[str] | None, typer.Option(help="a model that it may ask; all without it")] = None,
    can_configure: Annotated[bool, typer.Option(help="may load, unload and configure models")] = False,
    expires_in_days: Annotated[int, typer.Option(help="0 for never", min=0)] = 0,
) -> None:
    """Make a key, and show it once; the file holds only its hash."""
    key, key_id, hashed = make_key()
    with refusals(ValueError):
        added = ApiKey(
            id=key_id,
            name=name,
            sha256=hashed,
            priority=priority,
            models=model or None,
            can_configure=can_configure,
            rate_per_s=rate,
            burst=burst or max(1, round(rate)),
            daily_quota=daily_quota,
            expires=datetime.now(UTC) + timedelta(days=expires_in_days) if expires_in_days else None,
        )
        write_keys(file, [*(read_keys(file) if file.exists() else []), added])
    console.print(key, soft_wrap=True, markup=False)


@app.command("list")
def list_keys(file: KeysFile) -> None:
    """Show the keys of a file, without the keys themselves."""
    columns = ("per second", "burst", "per day", "priority", "models", "configures", "expires")
    table = Table(Column("id", no_wrap=True), Column("name", no_wrap=True), *columns)
    with refusals(ValueError):
        keys = read_keys(file)
    for key in keys:
        models = "all" if key.models is None else " ".join(key.models)
        expires = key.expires.date().isoformat() if key.expires else "never"
        rate, quota = (f"{key.rate_per_s:g}" if key.rate_per_s else "any"), str(key.daily_quota or "any")
        configures = "yes" if key.can_configure else "no"
        table.add_row(key.id, key.name, rate, str(key.burst), quota, key.priority, models, configures, expires)
    console.print(table)


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(help="the middle part of the key")], file: KeysFile) -> None:
    """Take a key back; running gateways refuse it within about a second."""
    with refusals(ValueError):
        keys = read_keys(file)
        found = next((key for key in keys if key.id == key_id), None)
        if found is None:
            fail(f"{file} has no key '{key_id}'")
        write_keys(file, [key for key in keys if key.id != key_id])
    console.print(f"revoked {key_id} of {found.name}", markup=False)
