"""The report of a video classifier, from arrays alone: it needs neither the model nor TensorFlow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from training.recipe.publication import Version
from training.recipe.report.class_plots import plot_confusion
from training.recipe.report.classifier import list_confidence, list_confusions, list_headlines, list_quality
from training.recipe.report.judgement import Answers, Judgement, judge, list_results
from training.recipe.report.measures import confuse
from training.recipe.report.page import Figure, Headline, Page, Section, write_page
from training.recipe.report.plots import plot_gallery
from training.recipe.report.sections import compare_versions, list_costs, list_surroundings, list_training
from training.recipe.report.terms import describe
from training.video.clips import Clips

_MISTAKES = 24
_SHOWN = (0, 1 / 3, 2 / 3, 1)  # moments of a clip


@dataclass(frozen=True)
class Material:
    """What a report is made of.

    Attributes:
        title: of the run.
        config: the configuration, JSON types.
        labels: names of the classes.
        valid, test: answers to centre clips, without temperature.
        calibrated: whether the model is served with the temperature that fits `valid`.
        clips: the test clips.
        history: columns of history.csv.
        costs: latency_ms_batch1, latency_ms_batch32, size_bytes, as far as they were measured.
        extra: further metrics that are shown among them, such as photograph_top1.
        photographs: answers to clips of moved photographs, where there are any.
        versions: earlier ones, oldest first.
    """

    title: str
    config: Mapping[str, Any]
    labels: Sequence[str]
    valid: Answers
    test: Answers
    calibrated: bool
    clips: Clips
    history: Mapping[str, np.ndarray] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    extra: Mapping[str, float] = field(default_factory=dict)
    photographs: Answers | None = None
    versions: Sequence[Version] = ()


def write_video_report(material: Material, folder: Path) -> dict[str, float]:
    """Writes report.html, report.json and the plots into `folder`.

    Returns:
        The metrics of the test answers as they are served, see `measures.measure`.

    Raises:
        ValueError: the arrays do not fit each other.
    """
    if len(material.clips) != len(material.test.classes):
        raise ValueError(f"{len(material.clips)} clips, but answers to {len(material.test.classes)}")
    judgement = judge(material.labels, material.valid, material.test, material.calibrated)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    page = Page(
        title=f"Video classifier, {len(material.labels)} classes",
        subtitle=f"{material.title}, reported {created.replace('T', ' ').removesuffix('+00:00')} UTC",
        headlines=[*list_headlines(judgement), *_list_more_headlines(material)],
        sections=_list_sections(material, judgement),
        results={
            "format": 1,
            "recipe": "video",
            "title": material.title,
            "created": created,
            **list_results(judgement),
            **list_surroundings(material.extra, material.costs, material.versions, material.config),
        },
    )
    write_page(page, folder)
    return judgement.metrics


def _list_sections(material: Material, judgement: Judgement) -> list[Section]:
    measured = {**judgement.metrics, **material.extra, **material.costs}
    sections = [list_quality(judgement)]
    if material.versions:
        sections.append(compare_versions(measured, material.versions, material.labels, "this run"))
    sections.append(list_confusions(judgement))
    if material.photographs:
        sections.append(_list_photographs(material.photographs, material.labels))
    sections += [_list_mistakes(material, judgement.answers), list_confidence(judgement)]
    if material.costs:
        sections.append(list_costs(material.costs, material.versions, "this run"))
    return [*sections, list_training(material.config, material.history)]


def _list_more_headlines(material: Material) -> list[Headline]:
    more = [Headline(describe(name).title, describe(name).write(value)) for name, value in material.extra.items()]
    if "latency_ms_batch1" in material.costs:
        more.append(Headline("One clip", f"{material.costs['latency_ms_batch1']:.2f} ms", "without its decoding"))
    if "size_bytes" in material.costs:
        more.append(Headline("Size", f"{material.costs['size_bytes'] / 1e6:.2f} MB"))
    return more


def _list_photographs(answers: Answers, labels: Sequence[str]) -> Section:
    png = plot_confusion(confuse(answers.probabilities, answers.classes), labels)
    caption = f"{len(answers.classes):,} clips of real photographs under a moving camera, through a real codec."
    return Section("Moved photographs", [Figure("photographs", png, caption)])


def _list_mistakes(material: Material, answers: Answers) -> Section:
    probabilities, classes = answers.probabilities, answers.classes
    said, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(said != classes)
    if not len(wrong):
        return Section("Worst mistakes", ["There is none among the test clips."])
    worst = wrong[np.argsort(-sure[wrong], kind="stable")][:_MISTAKES]
    captions = [(material.labels[classes[i]], f"{material.labels[said[i]]} {sure[i]:.0%}") for i in worst]
    png = plot_gallery(captions, lambda axes, number: _show_clip(axes, material.clips.take(worst[number])))
    caption = (
        f"The {len(worst)} of {len(wrong):,} wrong answers that the model was surest of. Black: what it is; red: the "
        "answer and its probability. Four moments of each clip: first above left, last below right."
    )
    return Section("Worst mistakes", [Figure("mistakes", png, caption)])


def _show_clip(axes: Axes, clip: np.ndarray) -> None:
    """Four frames as one picture."""
    first, second, third, last = (clip[round(share * (len(clip) - 1))] for share in _SHOWN)
    picture = np.concatenate([np.concatenate([first, second], 1), np.concatenate([third, last], 1)])
    axes.imshow(picture if picture.shape[-1] == 3 else picture[..., 0], cmap="gray", vmin=0, vmax=255)
