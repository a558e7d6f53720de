"""Metrics in words: how a report calls them, writes them, and which way is better."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Term:
    """What people call a metric.

    Attributes:
        title: its name.
        form: how its value is written, in `unit`.
        larger_is_better: None where neither way is.
    """

    title: str
    form: str = "{:.4f}"
    larger_is_better: bool | None = None
    unit: float = 1.0

    def write(self, value: float) -> str:
        """The value with its unit."""
        return self.form.format(value / self.unit)

    def judge(self, value: float, other: float) -> str:
        """Whether `value` is better or worse than `other`, as far as one can read from the two."""
        if self.write(value) == self.write(other):
            return "the same"
        if self.larger_is_better is None:
            return "different"
        return "▲ better" if (value > other) == self.larger_is_better else "▼ worse"


_SHARE, _MS = "{:.1%}", "{:.2f} ms"
_TERMS = {
    "top1": Term("Top-1", _SHARE, True),
    "top1_low": Term("Top-1, from (95% interval)", _SHARE, True),
    "top1_high": Term("Top-1, to", _SHARE, True),
    "top3": Term("Top-3", _SHARE, True),
    "top5": Term("Top-5", _SHARE, True),
    "map3": Term("MAP@3", "{:.4f}", True),
    "macro_precision": Term("Macro precision", _SHARE, True),
    "macro_recall": Term("Macro recall", _SHARE, True),
    "macro_f1": Term("Macro F1", _SHARE, True),
    "nll": Term("Negative log likelihood", "{:.4f}", False),
    "brier": Term("Brier score", "{:.4f}", False),
    "ece": Term("Calibration error (ECE)", "{:.4f}", False),
    "outside_top1": Term("Top-1 outside of the pack", _SHARE, True),
    "size_bytes": Term("Size", "{:.2f} MB", False, unit=1e6),
}


def describe(metric: str) -> Term:
    """The term of a metric; one that is not known keeps its own name."""
    if metric in _TERMS:
        return _TERMS[metric]
    if metric.startswith("latency_ms_batch"):
        batch, _, quantile = metric.removeprefix("latency_ms_batch").partition("_")
        return Term(f"Latency of {batch} at once" + (f", {quantile}" if quantile else ""), _MS, False)
    return Term(metric)
