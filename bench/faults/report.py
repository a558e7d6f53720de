"""docs/faults.md, made of what the commands measured."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.faults.trial import HEAL_TIMEOUT_S, Trial
from training.recipe.report.markdown import format_rows

RESULTS = Path(__file__).resolve().parents[1] / "results"
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
COLUMNS = (
    "what happens",
    "sent",
    "failed",
    "refused",
    "longest gap, s",
    "p99, ms",
    "slowest, s",
    "noticed for, s",
    "whole after, s",
)
HEAD = """# Faults

What clients notice while parts of the platform die: `make faults` tries it on five machines (Linux network namespaces)
and writes this page. A call counts as answered if it is within its deadline, retries included; where a second instance
exists, none may fail.

What makes that so, and what has to be set:

- Every service has two replicas on different nodes: `replicas` 2 and `max_replicas_per_node` 1 of its settings.
- Every node has an ingress, and gateways know all: `SERVING_TARGET=ipv4:node1:9000,node2:9000` (addresses), or a DNS
  name that has several. They take turns; a call that one drops goes to the next.
- Clients know all gateways: `Client("ipv4:gateway1:8500,gateway2:8500")`, or a load balancer in front. Calls that
  change nothing are tried again within their deadline.
- Redis may be gone: gateways then answer from their own memory and from the replicas.
- Ray's head is there once. Without it nodes serve on, but nothing is started anew; see Ray's documentation on fault
  tolerance of its GCS.
"""


def keep_trials(trials: Sequence[Trial], upgrades: Sequence[Trial], method: Sequence[str]) -> None:
    """Writes what faults and upgrades did, in place of what was known of these, and the document anew."""
    known = _read("faults")
    told = {
        "method": list(method),
        "faults": replace_known(known.get("faults", []), [asdict(trial) for trial in trials]),
        "upgrades": replace_known(known.get("upgrades", []), [asdict(trial) for trial in upgrades]),
    }
    _keep("faults", told)


def replace_known(known: Sequence[dict[str, Any]], found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Trials that were known, those of the same name replaced, then those that are new."""
    fresh = {trial["name"]: trial for trial in found}
    return [fresh.pop(trial["name"], trial) for trial in known] + list(fresh.values())


def keep_soak(told: dict[str, Any]) -> None:
    """Writes what a soak measured, and the document anew."""
    _keep("soak", told)


def write_document() -> None:
    """Makes the document of what was measured last."""
    parts = [HEAD]
    if faults := _read("faults"):
        parts.append("\n".join(f"- {line}" for line in faults["method"]) + "\n")
        parts.append(_table("Faults", faults["faults"]))
        if faults["upgrades"]:
            parts.append(_table("Upgrades under load", faults["upgrades"]))
        parts.append("## How each is done\n\n" + _ways([*faults["faults"], *faults["upgrades"]]))
    if soak := _read("soak"):
        parts.append("## Soak\n\n" + "\n".join(f"- {line}" for line in soak["method"]) + "\n")
        parts.append(format_rows(soak["columns"], soak["rows"]) + "\n")
    DOCUMENT.write_text("\n".join(parts))


def _keep(name: str, told: dict[str, Any]) -> None:
    (RESULTS / f"{name}.json").write_text(json.dumps(told, indent=1) + "\n")
    write_document()


def _read(name: str) -> dict[str, Any]:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.is_file() else {}


def _table(title: str, trials: Sequence[dict[str, Any]]) -> str:
    return f"## {title}\n\n" + format_rows(COLUMNS, [row_of(trial) for trial in trials]) + "\n"


def row_of(trial: dict[str, Any]) -> list[str]:
    """A trial as cells, in the order of COLUMNS."""
    seen = trial["outcome"]
    return [
        trial["name"],
        str(seen["sent"]),
        str(seen["failed"]),
        str(seen["refused"]),
        f"{seen['longest_gap_s']:.2f}",
        f"{seen['p99_ms']:.0f}",
        f"{seen['slowest_s']:.2f}",
        f"{seen['recovery_s']:.1f}",
        f"{trial['whole_s']:.0f}".replace("inf", f"over {HEAL_TIMEOUT_S:.0f}"),
    ]


def _ways(trials: Sequence[dict[str, Any]]) -> str:
    lines = [f"- {trial['name']}: {trial['done']}" for trial in trials]
    lines += [f"- errors of “{t['name']}”: {t['outcome']['errors']}" for t in trials if t["outcome"]["errors"]]
    return "\n".join(lines) + "\n"
