"""The report of a sketch classifier, from arrays alone: it needs neither the model nor TensorFlow."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from training.recipe.publication import Version
from training.recipe.report.classifier import list_confidence, list_confusions, list_headlines, list_quality
from training.recipe.report.judgement import Answers, Judgement, judge, list_results
from training.recipe.report.measures import bootstrap_share, rank_truth
from training.recipe.report.page import Figure, Headline, Page, Section, Table, write_page
from training.recipe.report.plots import plot_gallery, plot_shares
from training.recipe.report.sections import compare_versions, list_costs, list_surroundings, list_training
from training.recipe.report.terms import describe

_MISTAKES = 24
_EARLY, _LATE = np.array([0.0, 0.45, 0.70]), np.array([0.34, 0.71, 0.91])  # from the first stroke's blue to the last's


def paint_ink(axes: Axes, ink: np.ndarray) -> None:
    """Draws an ink into square axes."""
    low, high = ink[:, :2].min(axis=0), ink[:, :2].max(axis=0)
    middle, reach = (low + high) / 2, max(float((high - low).max()), 1.0) * 0.56
    strokes = np.split(ink[:, :2], np.flatnonzero(ink[:-1, 2]) + 1)
    for number, stroke in enumerate(strokes):
        shade = number / max(len(strokes) - 1, 1)
        colour = tuple(_EARLY + (_LATE - _EARLY) * shade)
        axes.plot(stroke[:, 0], stroke[:, 1], color=colour, linewidth=1.5, solid_capstyle="round")
        if len(stroke) == 1:
            axes.plot(stroke[:, 0], stroke[:, 1], ".", color=colour)
    axes.set(xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] + reach, middle[1] - reach))


def paint_picture(axes: Axes, picture: np.ndarray) -> None:
    """Shows a picture [side, side] whose ink is bright, as dark on light."""
    axes.imshow(255 - picture, cmap="gray", vmin=0, vmax=255)


@dataclass(frozen=True)
class Material:
    """What a report is made of.

    Attributes:
        title: of the run.
        config: the configuration, JSON types.
        labels: names of the classes.
        valid, test: answers to whole drawings, without temperature.
        calibrated: whether the model is served with the temperature that fits `valid`.
        drawings: the test drawings, as `paint` draws them into square axes.
        fractions: share of the points drawn -> probabilities [test drawings, classes], of 1.0 are those of `test`.
        history: columns of history.csv.
        costs: latency_ms_batch1, latency_ms_batch32, size_bytes, as far as they were measured.
        extra: further metrics that are shown among them, such as outside_top1.
        versions: earlier ones, oldest first.
    """

    title: str
    config: Mapping[str, Any]
    labels: Sequence[str]
    valid: Answers
    test: Answers
    calibrated: bool
    drawings: Sequence[np.ndarray]
    paint: Callable[[Axes, np.ndarray], None] = paint_ink
    fractions: Mapping[float, np.ndarray] = field(default_factory=dict)
    history: Mapping[str, np.ndarray] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    extra: Mapping[str, float] = field(default_factory=dict)
    versions: Sequence[Version] = ()


def write_sketch_report(material: Material, folder: Path) -> dict[str, float]:
    """Writes report.html, report.json and the plots into `folder`.

    Returns:
        The metrics of the test answers as they are served, see `measures.measure`.

    Raises:
        ValueError: the arrays do not fit each other.
    """
    counts = {len(material.drawings), len(material.test.classes), *map(len, material.fractions.values())}
    if len(counts) > 1:
        raise ValueError(f"drawings, answers and those to fractions of the drawings differ in number: {sorted(counts)}")
    judgement = judge(material.labels, material.valid, material.test, material.calibrated)
    created, begun = datetime.now(UTC).isoformat(timespec="seconds"), _measure_fractions(material)
    page = Page(
        title=f"Sketch classifier, {len(material.labels)} classes",
        subtitle=f"{material.title}, reported {created.replace('T', ' ').removesuffix('+00:00')} UTC",
        headlines=[*list_headlines(judgement), *_list_more_headlines(material)],
        sections=_list_sections(material, judgement, begun),
        results={
            "format": 1,
            "recipe": "sketch",
            "title": material.title,
            "created": created,
            **list_results(judgement),
            "fractions": begun,
            **list_surroundings(material.extra, material.costs, material.versions, material.config),
        },
    )
    write_page(page, folder)
    return judgement.metrics


def _list_sections(material: Material, judgement: Judgement, begun: list[dict[str, float]]) -> list[Section]:
    measured = {**judgement.metrics, **material.extra, **material.costs}
    sections = [list_quality(judgement)]
    if material.versions:
        sections.append(compare_versions(measured, material.versions, material.labels, "this run"))
    sections += [list_confusions(judgement), _list_mistakes(material, judgement.answers), list_confidence(judgement)]
    if material.fractions:
        sections.append(_list_beginnings(begun, len(material.drawings)))
    if material.costs:
        sections.append(list_costs(material.costs, material.versions, "this run"))
    return [*sections, list_training(material.config, material.history)]


def _list_more_headlines(material: Material) -> list[Headline]:
    more = [Headline(describe(name).title, describe(name).write(value)) for name, value in material.extra.items()][:1]
    if "latency_ms_batch1" in material.costs:
        note = f"{material.costs['latency_ms_batch32']:.1f} ms for 32" if "latency_ms_batch32" in material.costs else ""
        more.append(Headline("One drawing", f"{material.costs['latency_ms_batch1']:.2f} ms", note))
    if "size_bytes" in material.costs:
        more.append(Headline("Size", f"{material.costs['size_bytes'] / 1e6:.2f} MB"))
    return more


def _measure_fractions(material: Material) -> list[dict[str, float]]:
    """Top-1, its interval and top-3 by the share of the points that is drawn; the whole drawings last."""
    classes, rows = material.test.classes, []
    for fraction, probabilities in sorted({**material.fractions, 1.0: material.test.probabilities}.items()):
        rank = rank_truth(probabilities, classes)
        low, high = bootstrap_share(rank == 0)
        top1, top3 = float((rank == 0).mean()), float((rank < 3).mean())
        rows.append({"fraction": fraction, "top1": top1, "top1_low": low, "top1_high": high, "top3": top3})
    return rows


def _list_beginnings(begun: list[dict[str, float]], drawings: int) -> Section:
    columns = {name: [row[name] for row in begun] for name in begun[0]}
    lines = {"top-1": columns["top1"], "top-3": columns["top3"]}
    png = plot_shares(columns["fraction"], lines, (columns["top1_low"], columns["top1_high"]), "points drawn so far")
    caption = (
        f"Only the first part of the points of each of the {drawings:,} test drawings. Shaded: 95% interval of top-1."
    )
    rows = [(f"{r['fraction']:.0%}", f"{r['top1']:.1%}", f"{r['top3']:.1%}") for r in begun]
    table = Table("", ("drawn", "top-1", "top-3"), rows, "rrr", wide=False)
    return Section("Early recognition", [Figure("fractions", png, caption, wide=False), table])


def _list_mistakes(material: Material, answers: Answers) -> Section:
    probabilities, classes = answers.probabilities, answers.classes
    said, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(said != classes)
    if not len(wrong):
        return Section("Worst mistakes", ["There is none among the test drawings."])
    worst = wrong[np.argsort(-sure[wrong], kind="stable")][:_MISTAKES]
    captions = [(material.labels[classes[i]], f"{material.labels[said[i]]} {sure[i]:.0%}") for i in worst]
    png = plot_gallery(captions, lambda axes, number: material.paint(axes, material.drawings[worst[number]]))
    caption = (
        f"The {len(worst)} of {len(wrong):,} wrong answers that the model was surest of. Black: what it is; red: the "
        "answer and its probability. Strokes go from dark to light in the order they were drawn."
    )
    return Section("Worst mistakes", [Figure("mistakes", png, caption)])
