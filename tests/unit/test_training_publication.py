"""Which versions there are, and which candidate may follow them."""

import json
from pathlib import Path

import numpy as np
import pytest

from training.recipe.errors import PublicationError
from training.recipe.publication import Measured, check_better, fingerprint, read_versions

LABELS = ("ant", "pig")


def measured(title: str, labels: tuple[str, ...] = LABELS, data: str = "d", **metrics: float) -> Measured:
    return Measured(title, metrics, labels, data)


def write_manifest(folder: Path, **fields: object) -> None:
    folder.mkdir(parents=True)
    manifest = {
        "name": "sketch",
        "created": "2026-11-24T06:27:45+00:00",
        "labels": list(LABELS),
        "metrics": {"top1": 0.9},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest | fields))


def test_a_worse_candidate_is_refused_and_told_why() -> None:
    with pytest.raises(PublicationError) as refusal:
        check_better(measured("the run runs/sketch/7", top1=0.96), measured("sketch version 3", top1=0.971), "top1")
    for part in ("the run runs/sketch/7", "sketch version 3", "top1", "0.96", "0.971", "--allow-worse"):
        assert part in str(refusal.value)


@pytest.mark.parametrize("top1", [0.971, 0.98])
def test_an_equal_or_better_candidate_passes(top1: float) -> None:
    verdict = check_better(measured("the run", top1=top1), measured("version 3", top1=0.971), "top1")
    assert verdict == f"the run is no worse than version 3: top1 {top1:.6g} against 0.971, larger is better"


def test_where_smaller_is_better_the_larger_is_refused() -> None:
    newest = measured("version 3", (), mae_to_lag7=0.70)
    assert check_better(measured("the run", (), mae_to_lag7=0.68), newest, "mae_to_lag7", smaller_is_better=True)
    with pytest.raises(PublicationError, match=r"mae_to_lag7 0.72 against 0.7, smaller is better"):
        check_better(measured("the run", (), mae_to_lag7=0.72), newest, "mae_to_lag7", smaller_is_better=True)


def test_what_is_allowed_is_told_all_the_same() -> None:
    verdict = check_better(measured("the run", top1=0.5), measured("version 3", top1=0.9), "top1", allow_worse=True)
    assert "worse than version 3" in verdict
    assert verdict.endswith("published all the same")


@pytest.mark.parametrize(
    ("newest", "reason"),
    [
        (measured("v", ("ant", "cat", "dog"), top1=0.1), r"labels differ \(new: pig; gone: cat, dog\)"),
        (measured("v", ("ant", "pig", "a", "b", "c", "d", "e"), top1=0.1), r"gone: a, b, c and 2 more"),
        (measured("v", data="other", top1=0.1), "different test data"),
        (measured("v", nll=0.1), "no top1"),
        (measured("v", top1=float("nan")), "no top1"),
    ],
)
def test_what_cannot_be_compared_is_refused(newest: Measured, reason: str) -> None:
    with pytest.raises(PublicationError, match=reason):
        check_better(measured("the run", top1=0.9), newest, "top1")
    assert "cannot be compared" in check_better(measured("the run", top1=0.9), newest, "top1", allow_worse=True)


def test_the_order_of_labels_does_not_matter() -> None:
    assert check_better(measured("the run", ("pig", "ant"), top1=0.9), measured("v", ("ant", "pig"), top1=0.9), "top1")


@pytest.mark.parametrize("newest", [None, measured("v", top1=0.1)])
def test_what_is_no_number_is_never_good_enough(newest: Measured | None) -> None:
    with pytest.raises(PublicationError):
        check_better(measured("the run", top1=float("nan")), newest, "top1")


def test_a_first_version_needs_no_comparison() -> None:
    assert "first version" in check_better(measured("the run", top1=0.2), None, "top1")


def test_reads_the_bundled_version(models_dir: Path) -> None:
    version = read_versions(models_dir, "sketch")[0]
    assert version.title == "sketch version 1"
    assert version.metrics["top1"] > 0.95
    assert len(version.labels) == 20
    assert version.size_bytes == sum(f.stat().st_size for f in version.folder.rglob("*") if f.is_file())


def test_versions_count_and_nothing_else_does(tmp_path: Path) -> None:
    for number in ("9", "10", "2"):
        write_manifest(tmp_path / "sketch" / number)
    write_manifest(tmp_path / "sketch" / ".draft-11-4242")
    write_manifest(tmp_path / "sketch" / "3-old")
    (tmp_path / "sketch" / "12").mkdir()  # somebody else's, without a manifest
    assert [version.number for version in read_versions(tmp_path, "sketch")] == [2, 9, 10]
    assert read_versions(tmp_path, "forecast") == []


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    write_manifest(tmp_path / "sketch" / "1")
    path = tmp_path / "sketch" / "1" / "manifest.json"
    path.write_text('{"name": "sketch"}')
    with pytest.raises(PublicationError, match=rf"{path} has no 'created'"):
        read_versions(tmp_path, "sketch")
    path.write_text('{"name": ')
    with pytest.raises(PublicationError, match=rf"{path} is no JSON"):
        read_versions(tmp_path, "sketch")


def test_data_is_named_by_its_content() -> None:
    points, names = np.arange(12, dtype=np.float32).reshape(4, 3), np.array(["pig", "ant"])
    name = fingerprint(points, names)
    assert name == fingerprint(points.copy(), names.copy())
    assert name == fingerprint(np.asfortranarray(points), names)
    assert (
        len({name, fingerprint(points[::-1], names), fingerprint(points, names[::-1]), fingerprint(names, points)}) == 4
    )
    assert fingerprint(points) != fingerprint(points.reshape(3, 4))
    assert fingerprint(np.zeros((0, 3))) != fingerprint(np.zeros(0))
