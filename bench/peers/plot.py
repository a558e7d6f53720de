"""Throughput beside p99 latency, as a picture."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench.peers.cells import BY_KEY
from bench.peers.contestants import OURS
from bench.peers.tables import find_results
from bench.peers.verdict import Round

_CELLS = ("sketch-1", "sketch-16", "sketch-64")
_SIZE_INCHES = (8, 5)


def draw_peers(rounds: Sequence[Round], file: Path) -> None:
    """New drawings at 1, 16 and 64 in flight: a line per contestant and door; right and low is good."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "seqserve"  # the same figures give the same file
    matplotlib.rcParams["svg.fonttype"] = "none"
    from matplotlib import pyplot

    lines: dict[str, list[tuple[float, float, int]]] = {}
    for cell in (BY_KEY[key] for key in _CELLS):
        for (name, door), results in find_results(rounds, cell).items():
            point = median(r.rate for r in results), median(r.p99_ms for r in results), cell.in_flight
            lines.setdefault(f"{name}, {door}", []).append(point)
    figure, axes = pyplot.subplots(figsize=_SIZE_INCHES, layout="constrained")
    for label, points in lines.items():
        rates, p99_ms, _ = zip(*points, strict=True)
        axes.plot(rates, p99_ms, marker="o", label=label, linewidth=3 if label.startswith(OURS) else 1.2)
    axes.set(xscale="log", yscale="log", xlabel="answers per second", ylabel="p99, ms")
    axes.set_title("one drawing per call, all new; 1, 16 and 64 in flight")
    axes.grid(which="both", alpha=0.2)
    axes.legend(fontsize="small")
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)
