"""Metrics in words: how a report calls them, writes them, and which way is better."""

from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Term:
    """What people call a metric.

    Attributes:
        title: its name.
        form: how its value is written, in `unit`; a format, or what makes a text of it.
        larger_is_better: None where neither way is.
    """

    title: str
    form: str | Callable[[float], str] = "{:.4f}"
    larger_is_better: bool | None = None
    unit: float = 1.0

    def write(self, value: float) -> str:
        """The value with its unit."""
        form = self.form.format if isinstance(self.form, str) else self.form
        return form(value / self.unit)

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
    "photograph_top1": Term("Top-1, moved photographs", _SHARE, True),
    "views_top1": Term("Top-1, many views", _SHARE, True),
    "appearance_top1": Term("Top-1, appearance alone", _SHARE, True),
    "motion_top1": Term("Top-1, motion alone", _SHARE, True),
    "gflops": Term("Operations of a clip", "{:.3f} GFLOP", False),
    "size_bytes": Term("Size", "{:.2f} MB", False, unit=1e6),
}


def _write_amount(value: float) -> str:
    """A quantity in the unit of a series, in four digits, and all digits before the point."""
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:,.4g}"


_OF_FORECASTS = {
    "weeks": Term("Weeks", "{:,.0f}"),
    "mae": Term("MAE", _write_amount, False),
    "mean_mae": Term("MAE of the mean", _write_amount, False),
    "lag7_mae": Term("MAE of lag-7", _write_amount),
    "mae_to_lag7": Term("MAE to lag-7", "{:.3f}", False),
    "mae_to_last_value": Term("MAE to last value", "{:.3f}", False),
    "rmse": Term("RMSE", _write_amount, False),
    "bias": Term("Bias", _write_amount),
    "smape": Term("sMAPE", "{:.2f}", False),
    "mase1": Term("MASE, m = 1", "{:.3f}", False),
    "mase7": Term("MASE, m = 7", "{:.3f}", False),
    "pinball": Term("Pinball loss", _write_amount, False),
    "wql": Term("WQL", "{:.4f}", False),
    "crps": Term("CRPS", _write_amount, False),
    "coverage_80": Term("In the 80% interval", _SHARE),
    "coverage_95": Term("In the 95% interval", _SHARE),
    "width_80": Term("Width of 80%", "{:.3f}"),
    "width_95": Term("Width of 95%", "{:.3f}"),
    "msis_95": Term("MSIS of 95%", "{:.2f}", False),
}


def describe(metric: str) -> Term:
    """The term of a metric; one that is not known keeps its own name."""
    if metric in _TERMS:
        return _TERMS[metric]
    if metric.startswith("latency_ms_batch"):
        batch, _, quantile = metric.removeprefix("latency_ms_batch").partition("_")
        return Term(f"Latency of {batch} at once" + (f", {quantile}" if quantile else ""), _MS, False)
    return _describe_forecasts(metric)


def _describe_forecasts(metric: str) -> Term:
    """Of `<measure>`, `<measure>_mean`, `<measure>_geometric_mean` and `<source>_<measure>`."""
    if metric in _OF_FORECASTS:
        return _OF_FORECASTS[metric]
    for suffix in ("_geometric_mean", "_mean"):
        if metric.removesuffix(suffix) in _OF_FORECASTS:
            term = _OF_FORECASTS[metric.removesuffix(suffix)]
            return replace(term, title=f"{term.title},{suffix.replace('_', ' ')}")
    for measure in sorted(_OF_FORECASTS, key=len, reverse=True):  # mae ends mean_mae too
        if metric.endswith(f"_{measure}"):
            term = _OF_FORECASTS[measure]
            return replace(term, title=f"{term.title}, {metric.removesuffix(f'_{measure}')}")
    return Term(metric)
