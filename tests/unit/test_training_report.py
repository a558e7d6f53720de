"""What a report measures, draws and writes."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import brier_score_loss, f1_score, log_loss, precision_score, recall_score, top_k_accuracy_score

from training.recipe.publication import read_versions
from training.recipe.report.calibration import apply_temperature, bin_confidence, fit_temperature
from training.recipe.report.class_plots import order_by_confusion, pick_confused, plot_class_scores, plot_confusion_map
from training.recipe.report.classifier import list_confusions
from training.recipe.report.judgement import Answers, judge
from training.recipe.report.measures import (
    bootstrap_share,
    class_f1,
    confuse,
    measure,
    measure_coverage,
    score_classes,
    top_confusions,
)
from training.recipe.report.page import Figure, Headline, Page, Section, Table, write_page
from training.recipe.report.plots import plot_learning_curves
from training.recipe.report.sections import compare_versions, flatten_config
from training.recipe.report.terms import describe
from training.sketch.report import Material, write_sketch_report

PNG = b"\x89PNG\r\n\x1a\n"
FOUR = np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7]])
TRUTH = np.array([0, 0, 2, 2])


def answer(rows: int, classes: int, seed: int = 0, skill: float = 2.0) -> Answers:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, rows).astype(np.int32)
    logits = rng.normal(size=(rows, classes))
    logits[np.arange(rows), truth] += skill
    return Answers(softmax(logits, axis=1).astype(np.float32), truth)


def draw_ink(rng: np.random.Generator) -> np.ndarray:
    ink = rng.uniform(0, 255, (12, 3)).astype(np.float32)
    ink[:, 2] = np.arange(12) % 4 == 3
    return ink


def test_measures_are_those_of_scikit_learn() -> None:
    test = answer(400, 7)
    p, c, labels = test.probabilities.astype(np.float64), test.classes, np.arange(7)
    p /= p.sum(axis=1, keepdims=True)
    ours, said = measure(p, c), p.argmax(axis=1)
    assert ours["top1"] == pytest.approx(top_k_accuracy_score(c, p, k=1, labels=labels))
    assert ours["top3"] == pytest.approx(top_k_accuracy_score(c, p, k=3, labels=labels))
    assert ours["top5"] == pytest.approx(top_k_accuracy_score(c, p, k=5, labels=labels))
    assert ours["nll"] == pytest.approx(log_loss(c, p, labels=labels))
    assert ours["brier"] == pytest.approx(brier_score_loss(c, p, labels=labels, scale_by_half=False))
    assert ours["macro_f1"] == pytest.approx(f1_score(c, said, average="macro"))
    assert ours["macro_precision"] == pytest.approx(precision_score(c, said, average="macro"))
    assert ours["macro_recall"] == pytest.approx(recall_score(c, said, average="macro"))


def test_measures_of_four_rows() -> None:
    ours = measure(FOUR, TRUTH)
    assert ours["top1"] == 0.5
    assert ours["top3"] == 1.0
    assert ours["map3"] == pytest.approx((1 + 1 / 2 + 1 / 2 + 1) / 4)
    assert ours["ece"] == pytest.approx((0.2 + 0.6 + 0.5 + 0.3) / 4)
    assert class_f1(FOUR, TRUTH) == pytest.approx([2 / 3, 0, 2 / 3])


def test_a_model_that_knows_nothing_is_not_right_by_a_tie() -> None:
    ours = measure(np.full((10, 5), 0.2), np.repeat(np.arange(5), 2))
    assert ours["top1"] == pytest.approx(0.2)
    assert ours["top3"] == pytest.approx(0.6)


def test_the_interval_is_that_of_drawing_rows_again() -> None:
    hits = np.arange(500) < 450
    low, high = bootstrap_share(hits)
    rng = np.random.default_rng(1)
    again = [hits[rng.integers(0, 500, 500)].mean() for _ in range(4000)]
    assert [low, high] == pytest.approx(np.quantile(again, [0.025, 0.975]), abs=0.004)
    assert bootstrap_share(np.ones(5, bool)) == (1.0, 1.0)


def test_confusions_come_with_the_most_frequent_first() -> None:
    table = np.array([[8, 1, 1], [0, 9, 3], [0, 0, 5]])
    found = [(c.true, c.said, c.count, c.share) for c in top_confusions(table, 2)]
    assert found == [(1, 2, 3, 0.25), (0, 1, 1, 0.1)]
    assert top_confusions(np.diag([3, 4]), 5) == []
    assert confuse(FOUR, TRUTH).tolist() == [[1, 1, 0], [0, 0, 0], [0, 1, 1]]


def test_coverage_gives_the_surest_answers_first() -> None:
    curve = measure_coverage(FOUR, TRUTH)
    assert curve.coverage.tolist() == [0.25, 0.5, 0.75, 1]
    assert curve.accuracy == pytest.approx([1, 1, 2 / 3, 0.5])
    assert curve.confidence.tolist() == [0.8, 0.7, 0.6, 0.5]


@pytest.mark.parametrize(
    ("probabilities", "classes", "text"),
    [
        (FOUR, TRUTH[:3], r"\(4, 3\) and \(3,\)"),
        (FOUR[:0], TRUTH[:0], r"\(0, 3\)"),
        (FOUR, np.array([0, 1, 2, 3]), "go from 0 to 3 with 3 columns"),
        (np.where(FOUR == 0.8, np.nan, FOUR), TRUTH, "1 rows of probabilities, the first 0"),
    ],
)
def test_what_cannot_be_measured_is_refused(probabilities: np.ndarray, classes: np.ndarray, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        measure(probabilities, classes)


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 2.5])
def test_the_temperature_of_a_model_is_found(true_temperature: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(40_000, 6)) * 2
    classes = (softmax(logits, axis=1).cumsum(axis=1) < rng.random((40_000, 1))).sum(axis=1)
    said = softmax(logits * true_temperature, axis=1).astype(np.float32)
    temperature = fit_temperature(said, classes)
    assert temperature == pytest.approx(true_temperature, rel=0.03)
    cooled = apply_temperature(said, temperature)
    assert cooled.dtype == np.float32
    assert np.array_equal(cooled.argmax(axis=1), said.argmax(axis=1))
    assert measure(cooled, classes)["ece"] < 0.01
    np.testing.assert_allclose(cooled, softmax(logits * true_temperature / temperature, axis=1), atol=1e-5)


def test_bins_of_confidence() -> None:
    bins = bin_confidence(FOUR, TRUTH, bins=2)
    assert bins.share.tolist() == [0, 1]
    assert np.isnan(bins.confidence[0])
    assert (bins.confidence[1], bins.accuracy[1]) == pytest.approx((0.65, 0.5))
    assert bins.error == pytest.approx(0.15)


def test_classes_that_are_confused_stand_together() -> None:
    table = np.diag([50] * 6)
    table[0, 5] = table[5, 0] = table[1, 3] = table[3, 1] = 20
    order = order_by_confusion(table).tolist()
    assert sorted(order) == list(range(6))
    assert abs(order.index(0) - order.index(5)) == 1
    assert abs(order.index(1) - order.index(3)) == 1
    assert sorted(pick_confused(table, 4)) == [0, 1, 3, 5]
    assert sorted(pick_confused(table, 3)) in ([0, 5], [1, 3])


def test_plots_leave_the_look_of_others_alone() -> None:
    before = dict(mpl.rcParams)
    test = answer(600, 60)
    scores = score_classes(test.probabilities, test.classes)
    for png in (
        plot_class_scores(scores, [f"${i}_$" for i in range(60)]),
        plot_confusion_map(confuse(test.probabilities, test.classes)),
        plot_learning_curves({"epoch": np.zeros(1), "loss": np.ones(1), "val_loss": np.array([np.nan])}),
    ):
        assert png.startswith(PNG)
    assert dict(mpl.rcParams) == before


def test_many_classes_without_a_mistake_have_a_report_too() -> None:
    right = Answers(np.eye(50, dtype=np.float32), np.arange(50))
    parts = list_confusions(judge([str(i) for i in range(50)], right, right, calibrated=False)).parts
    assert [part.name for part in parts if isinstance(part, Figure)] == ["confusion_map"]


def test_a_page_is_whole_in_itself(tmp_path: Path) -> None:
    plot = Figure("plot", PNG + b"pixels", "A <plot>")
    table = Table("A & B", ("name", "value"), [("<script>", "1")], "lr", folded=True)
    sections = [Section("Some part", [plot, table, "1 < 2"])]
    path = write_page(Page("T", "S", [Headline("Top-1", "97%")], sections, {"rows": [1, 2]}), tmp_path / "report")
    html = path.read_text()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "1 &lt; 2" in html
    embedded = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    assert [base64.b64decode(picture) for picture in embedded] == [plot.png]
    links = re.findall(r'(?:src|href)="([^"]+)"', html)
    assert {link for link in links if not link.startswith("data:")} == {"plot.png", "#some-part"}
    assert (path.parent / "plot.png").read_bytes() == plot.png
    assert json.loads((path.parent / "report.json").read_text()) == {"rows": [1, 2], "figures": ["plot.png"]}
    assert 'id="some-part"' in html


def test_a_table_has_a_cell_for_each_column() -> None:
    with pytest.raises(ValueError, match="'T' has 2 columns"):
        Table("T", ("a", "b"), [("1", "2"), ("3",)], "ll")
    with pytest.raises(ValueError, match="'T' has 2 columns"):
        Table("T", ("a", "b"), [("1", "2")], "l")


def test_configurations_are_listed_as_they_are_set() -> None:
    rows = flatten_config({"seed": 7, "model": {"channels": [64, 96], "clip": {"kind": "norm"}}})
    assert rows == [("seed", "7"), ("model.channels", "64, 96"), ("model.clip.kind", "norm")]


def test_terms_know_which_way_is_better() -> None:
    assert describe("top1").judge(0.98, 0.97) == "▲ better"
    assert describe("nll").judge(0.98, 0.97) == "▼ worse"
    assert describe("top1").judge(0.97001, 0.97) == "the same"
    assert describe("something").judge(1, 2) == "different"
    assert describe("latency_ms_batch32").title == "Latency of 32 at once"
    assert describe("size_bytes").write(1_234_567) == "1.23 MB"


def test_versions_with_other_labels_are_not_judged(models_dir: Path) -> None:
    (version,) = read_versions(models_dir, "sketch")[:1]
    same = compare_versions({"top1": 0.5}, [version], version.labels, "this run")
    other = compare_versions({"top1": 0.5}, [version], version.labels[1:], "this run")
    assert "worse" in str(same.parts)
    assert "worse" not in str(other.parts)
    assert "other labels, 20 of them" in str(other.parts)


@pytest.fixture(scope="module")
def material(models_dir: Path) -> Material:
    rng = np.random.default_rng(0)
    versions = read_versions(models_dir, "sketch")
    labels, test = versions[0].labels, answer(200, 20, seed=1)
    return Material(
        title="runs/sketch/20261124T124500",
        config={"optimisation": {"epochs": 2}, "seed": 7},
        labels=labels,
        valid=answer(200, 20, seed=2),
        test=test,
        calibrated=True,
        drawings=[draw_ink(rng) for _ in range(200)],
        fractions={0.5: answer(200, 20, seed=3, skill=0.5).probabilities},
        history={n: np.arange(2.0) for n in ("epoch", "loss", "val_loss", "accuracy", "val_accuracy", "learning_rate")},
        costs={"latency_ms_batch1": 0.5, "size_bytes": 1e6},
        extra={"outside_top1": 0.7},
        versions=versions,
    )


@pytest.fixture(scope="module")
def written(material: Material, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "report"
    write_sketch_report(material, folder)
    return folder


def test_a_sketch_report_tells_all(material: Material, written: Path) -> None:
    told = json.loads((written / "report.json").read_text())
    scaled = apply_temperature(
        material.test.probabilities, fit_temperature(material.valid.probabilities, material.valid.classes)
    )
    assert told["metrics"] == measure(scaled, material.test.classes)
    assert told["calibration"]["served"] is True
    assert told["calibration"]["after"]["nll"] == told["metrics"]["nll"]
    assert told["calibration"]["before"]["nll"] == measure(material.test.probabilities, material.test.classes)["nll"]
    assert np.array(told["confusion_matrix"]).sum() == 200
    assert [row["fraction"] for row in told["fractions"]] == [0.5, 1.0]
    assert told["fractions"][1]["top1"] == told["metrics"]["top1"]
    assert len(told["classes"]) == 20
    assert told["versions"][0]["version"] == 1
    assert told["config"] == material.config
    assert told["costs"]["size_bytes"] == 1e6
    names = {
        "class_scores",
        "confusion",
        "mistakes",
        "reliability",
        "coverage",
        "fractions",
        "costs",
        "learning_curves",
    }
    assert set(told["figures"]) == {f"{name}.png" for name in names}
    assert {path.name for path in written.glob("*.png")} == set(told["figures"])


def test_the_number_of_mistakes_is_told(material: Material, written: Path) -> None:
    wrong = int((material.test.probabilities.argmax(axis=1) != material.test.classes).sum())
    assert f"The 24 of {wrong} wrong answers" in (written / "report.html").read_text()


def test_a_sketch_report_needs_only_answers(tmp_path: Path) -> None:
    right = Answers(np.eye(3, dtype=np.float32), np.arange(3))
    inks = [draw_ink(np.random.default_rng(0))] * 3
    metrics = write_sketch_report(Material("run", {}, ("a", "b", "c"), right, right, False, inks), tmp_path)
    assert metrics["top1"] == 1.0
    assert "There is none among the test drawings" in (tmp_path / "report.html").read_text()


def test_arrays_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    right = Answers(np.eye(3, dtype=np.float32), np.arange(3))
    with pytest.raises(ValueError, match=r"differ in number: \[0, 3\]"):
        write_sketch_report(Material("run", {}, ("a", "b", "c"), right, right, False, []), tmp_path)


def test_reports_need_neither_tensorflow_nor_a_screen() -> None:
    modules = "training.sketch.report, training.recipe.publication"
    program = f"import sys, {modules}; print(*({{'tensorflow', 'keras', 'matplotlib.pyplot'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("width", [400, 1200])
def test_a_page_fits_the_screen(chromium, written: Path, width: int) -> None:
    chromium.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    try:
        chromium.get((written / "report.html").as_uri())
        assert chromium.execute_script("return document.documentElement.scrollWidth") <= width
        pictures = "[...document.images].map(image => image.naturalWidth)"
        assert min(chromium.execute_script(f"return {pictures}")) > 500
    finally:
        chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
