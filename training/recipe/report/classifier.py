"""The sections that the report of any classifier has: how good, what is confused, how sure."""

from dataclasses import replace

import numpy as np

from training.recipe.report.calibration import bin_confidence
from training.recipe.report.class_plots import (
    FEW,
    MOST_LABELLED,
    pick_confused,
    plot_class_scores,
    plot_confusion,
    plot_confusion_map,
)
from training.recipe.report.confidence_plots import plot_coverage, plot_reliability
from training.recipe.report.judgement import CALIBRATED, Judgement, pick_coverages
from training.recipe.report.page import Figure, Headline, Section, Table
from training.recipe.report.terms import describe

_ALL_CONFUSIONS = "All classes, without names: those that are taken for each other stand together."
_RELIABILITY = "A bar that ends at the dashed line is as right as it says; one with few rows (below) says little."


def list_headlines(judgement: Judgement) -> list[Headline]:
    """Top-1 with its interval, and what else one wants to know first."""
    metrics = judgement.metrics
    interval = f"95% interval {metrics['top1_low']:.1%} to {metrics['top1_high']:.1%}"
    rows = f"{len(judgement.raw.classes):,} test rows"
    calibration = f"temperature {judgement.temperature:.2f}" if judgement.calibrated else "not calibrated"
    return [
        Headline("Top-1", f"{metrics['top1']:.1%}", interval),
        Headline("Top-3", f"{metrics['top3']:.1%}", f"MAP@3 {metrics['map3']:.4f}"),
        Headline("Macro F1", f"{metrics['macro_f1']:.1%}", rows),
        Headline("ECE", f"{metrics['ece']:.3f}", calibration),
    ]


def list_quality(judgement: Judgement) -> Section:
    """All measures, and each class."""
    scores, labels = judgement.scores, judgement.labels
    measures = [(describe(name).title, describe(name).write(value)) for name, value in judgement.metrics.items()]
    columns = (scores.f1, scores.precision, scores.recall)
    rows = [
        (labels[i], *(f"{column[i]:.3f}" for column in columns), f"{scores.support[i]:,.0f}")
        for i in np.argsort(scores.f1, kind="stable")
    ]
    bars = plot_class_scores(scores, labels)
    many = len(labels) > FEW
    parts: list[Figure | Table | str] = [
        Table("", ("measure", "test rows"), measures, "lr", wide=many),
        Figure("class_scores", bars, "Lowest F1 first. The axis need not begin at zero.", wide=many),
        Table("All classes", ("class", "F1", "precision", "recall", "rows"), rows, "lrrrr", folded=True),
    ]
    return Section("Quality", parts)


def list_confusions(judgement: Judgement) -> Section:
    """What is taken for what."""
    labels, table = judgement.labels, judgement.table
    rows = [(labels[c.true], labels[c.said], f"{c.count:,}", f"{c.share:.1%}") for c in judgement.confusions]
    listed = Table("Most frequent confusions", ("truth", "answer", "rows", "of the truth"), rows, "llrr")
    read = "Rows are true classes, columns answers. Blue: right; orange: mistakes; darker is a larger share of the row."
    if len(labels) <= MOST_LABELLED:
        return Section("Confusions", [Figure("confusion", plot_confusion(table, labels), read), listed])
    parts: list[Figure | Table | str] = [
        Figure("confusion_map", plot_confusion_map(table), _ALL_CONFUSIONS, wide=False),
        replace(listed, wide=False),
    ]
    picked = pick_confused(table)
    if len(picked):
        part = plot_confusion(table[np.ix_(picked, picked)], [labels[i] for i in picked])
        caption = f"The {len(picked)} classes of the most frequent mistakes. {read}"
        parts.insert(0, Figure("confusion", part, caption))
    return Section("Confusions", parts)


def list_confidence(judgement: Judgement) -> Section:
    """Calibration before and after temperature scaling, and what answering only when sure brings."""
    before, after, curve = judgement.raw_metrics, judgement.scaled_metrics, judgement.coverage
    scaled = f"at temperature {judgement.temperature:.2f}"
    diagrams = {
        title: bin_confidence(answers.probabilities, answers.classes)
        for title, answers in (("as trained", judgement.raw), (scaled, judgement.scaled))
    }
    rows = [(describe(n).title, f"{before[n]:.4f}", f"{after[n]:.4f}") for n in CALIBRATED]
    shares = [(f"{c:.0%}", f"{curve.accuracy[i]:.1%}", f"{curve.confidence[i]:.3f}") for c, i in pick_coverages(curve)]
    columns = ("answered", "right", "least confidence")
    parts: list[Figure | Table | str] = [
        _tell_temperature(judgement),
        Table("", ("test rows", "as trained", scaled), rows, "lrr"),
        Figure("reliability", plot_reliability(diagrams), _RELIABILITY),
        Figure("coverage", plot_coverage(curve), "When only the surest answers are given, as served.", wide=False),
        Table("Answering only when sure", columns, shares, "rrr", wide=False),
    ]
    return Section("Confidence", parts)


def _tell_temperature(judgement: Judgement) -> str:
    way = "less sure than it could be" if judgement.temperature < 1 else "too sure"
    served = "is served with it" if judgement.calibrated else "is served without it"
    return (
        f"As trained, the model is {way}: the temperature {judgement.temperature:.3f} fits the validation rows best. "
        f"Dividing the logits by it changes no answer, only the probabilities. The model {served}."
    )
