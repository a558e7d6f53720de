"""What `seqserve up` prints when it is ready: addresses, and calls to copy."""

import json
from datetime import date, timedelta

from rich.console import Console

from services.sketch.schema import FACE_EXAMPLE

ANY_HOST = "0.0.0.0"  # noqa: S104  # compared, not bound
WEEK = [120, 130, 128, 131, 140, 90, 70]


def show_examples(console: Console, host: str, rest_port: int, grpc_port: int, is_encrypted: bool) -> None:
    """Prints the addresses and one example call per service."""
    shown = "localhost" if host in (ANY_HOST, "127.0.0.1") else host
    rest = f"{'https' if is_encrypted else 'http'}://{shown}:{rest_port}"
    start = (date.today() - timedelta(days=28)).isoformat()
    sketch = json.dumps({"strokes": FACE_EXAMPLE, "top_k": 3}, separators=(",", ":"))
    series = json.dumps({"series": [{"id": "visits", "start": start, "values": WEEK * 4}]}, separators=(",", ":"))
    json_header = "-H 'content-type: application/json'"
    console.print(
        f"\n[bold green]seqserve is ready[/bold green]  REST {rest}  gRPC {shown}:{grpc_port}", soft_wrap=True
    )
    console.print(f"Playground: {rest}  API documentation: {rest}/docs\n", soft_wrap=True)
    for call in (
        f"curl {rest}/v1/sketches:classify {json_header} -d '{sketch}'",
        f"curl {rest}/v1/series:forecast {json_header} -d '{series}'",
        f"curl {rest}/v1/videos:classify -F file=@clip.mp4",
    ):
        console.print(call, soft_wrap=True, markup=False, highlight=False)
    console.print("\nCtrl-C stops everything.")
