"""The report's tables, from what was measured."""

from collections.abc import Sequence
from statistics import median

from bench.peers.cells import CELLS, Cell
from bench.peers.contestants import CONTESTANTS, OURS, PLAIN_RAY, Contestant
from bench.peers.environments import version_of
from bench.peers.measure import Result
from bench.peers.verdict import Round, Target, added_ms, rate_ratio
from bench.report import Sheet

Key = tuple[str, str]  # contestant, door
COLUMNS = (
    "",
    "answers/s",
    "spread",
    "p50 ms",
    "p99 ms",
    "CPU ms per answer",
    "of the best peer",
    "of Ray Serve's tutorial",
)
_YES = {True: "yes", False: "**no**", None: "?"}


def make_sheets(rounds: Sequence[Round], targets: Sequence[Target], failures: dict[str, str]) -> list[Sheet]:
    """Targets, servers, then a table per cell."""
    cells = [cell for cell in CELLS if any(find_results(rounds, cell))]
    verdict = [(t.title, t.found, _YES[t.is_met]) for t in targets]
    return [
        Sheet("targets", ("", "found", "met"), verdict),
        _make_server_sheet(rounds, failures),
        *(_make_cell_sheet(rounds, cell) for cell in cells),
        _make_raw_sheet(rounds),
    ]


def find_results(rounds: Sequence[Round], cell: Cell) -> dict[Key, list[Result]]:
    """Results of a cell, of every contestant and door, round by round."""
    found: dict[Key, list[Result]] = {}
    for one in rounds:
        for name, run in one.runs.items():
            for (door, key), result in run.results.items():
                if key == cell.key:
                    found.setdefault((name, door), []).append(result)
    return found


def spread(values: Sequence[float]) -> float:
    """How far the rounds are apart: largest less smallest, as a share of the median."""
    return (max(values) - min(values)) / median(values)


def _make_cell_sheet(rounds: Sequence[Round], cell: Cell) -> Sheet:
    found = find_results(rounds, cell)
    ordered = sorted(found.items(), key=lambda pair: -median(r.rate for r in pair[1]))
    best = {id(one): one.best_peer(cell) for one in rounds}
    plain = {id(one): one.best_result(PLAIN_RAY, cell) for one in rounds}
    rows = []
    for (name, door), results in ordered:
        rates = [r.rate for r in results]
        own = [(one, one.runs[name].results.get((door, cell.key))) for one in rounds if name in one.runs]
        to_best = [rate_ratio(r, peer[1]) for one, r in own if (peer := best[id(one)])]
        to_plain = [rate_ratio(r, plain[id(one)]) for one, r in own]
        rows.append(
            (
                _bold(f"{name}, {door}", name == OURS),
                f"{median(rates):.0f}",
                f"{spread(rates):.0%}" if len(rates) > 1 else "",
                f"{median(r.p50_ms for r in results):.1f}",
                f"{median(r.p99_ms for r in results):.1f}",
                f"{median(r.cpu_ms for r in results):.2f}",
                _ratio(to_best),
                _ratio(to_plain),
            )
        )
    return Sheet(f"{cell.title}, {cell.in_flight} in flight", COLUMNS, rows)


def _make_server_sheet(rounds: Sequence[Round], failures: dict[str, str]) -> Sheet:
    columns = (
        "",
        "version",
        "start s",
        "memory MB",
        "added ms, alone",
        "open loop: due/s",
        "its p50 ms",
        "its p99 ms",
        "remark",
    )
    return Sheet("servers", columns, [_make_server_row(c, rounds, failures.get(c.name, "")) for c in CONTESTANTS])


def _make_server_row(contestant: Contestant, rounds: Sequence[Round], failure: str) -> tuple[str, ...]:
    runs = [one.runs[contestant.name] for one in rounds if contestant.name in one.runs]
    measured = [run for run in runs if run.results]
    name = _bold(contestant.name, contestant.name == OURS)
    version = version_of(contestant.environment, contestant.package) if contestant.environment else ""
    remark = failure or next((run.failure for run in runs if run.failure), "")
    if not measured:
        return (name, version, *[""] * 6, remark or "not measured")
    opened = [run.open_loop for run in measured if run.open_loop]
    added = [ms for one in rounds if (ms := added_ms(one, "-compiled", contestant.name)) is not None]
    return (
        name,
        version,
        f"{median(run.start_s for run in measured):.0f}",
        f"{median(run.memory_mb for run in measured):.0f}",
        f"{median(added):.1f}" if added else "",
        f"{median(o.rate for o in opened):.0f}" if opened else "",
        f"{median(o.p50_ms for o in opened):.1f}" if opened else "",
        f"{median(o.p99_ms for o in opened):.1f}" if opened else "",
        remark,
    )


def _make_raw_sheet(rounds: Sequence[Round]) -> Sheet:
    keys = list(dict.fromkeys(key for one in rounds for key in one.raw))
    rows = []
    for key in keys:
        found = [one.raw[key] for one in rounds if key in one.raw]
        rate, p50_ms = median(f["rate"] for f in found), median(f["p50_ms"] for f in found)
        rows.append((key, f"{rate:.0f}", f"{p50_ms:.2f}"))
    return Sheet("the SavedModels in a loop, without a server", ("", "items/s", "p50 of a call, ms"), rows)


def _ratio(found: Sequence[float | None]) -> str:
    known = [ratio for ratio in found if ratio is not None]
    return f"{median(known):.2f}" if known else ""


def _bold(text: str, is_bold: bool) -> str:
    return f"**{text}**" if is_bold else text
