"""The table of video families: what is trained for it, and what it tells."""

from dataclasses import replace
from pathlib import Path

import pytest

from training.recipe.config import override
from training.recipe.run import Run, start_run
from training.video import costs, families
from training.video.config import FAMILIES, Config
from training.video.dataset import open_dataset
from training.video.families import list_configs, train_families
from training.video.judgement import ask_model, report
from training.video.models.classifier import build_model
from training.video.table import write_table

SMALL = ['shape={"frames": 4, "height": 16, "width": 16, "fps": 5}', "workers=0", "views=[1,3]", "model.channels=[4]"]


@pytest.fixture
def judge_untrained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, bool]]:
    """Runs are judged as they are before training; returns what was asked for."""
    asked = []

    def judge(recipe: str, title: str, config: Config, data_dir: Path, runs_dir: Path) -> Run:
        asked.append((title, config.seed, config.single_frame))
        run, dataset = start_run(recipe, config, data_dir, runs_dir), open_dataset(config, data_dir)
        model = build_model(config, len(dataset.labels))
        run.keep_weights(model)
        run.history.write_text("epoch,loss,val_loss\n0,1.0,1.0\n")
        ask_model(model, config, dataset, run)
        report(run, dataset, costs={}, versions=())
        return run

    monkeypatch.setattr(families, "train_once", judge)
    monkeypatch.setattr("training.video.report._list_sections", lambda *_: [])  # pictures that nobody looks at
    return asked


def test_the_table_has_every_family_its_ablation_and_its_costs(
    video_squares: Path,
    tmp_path: Path,
    judge_untrained: list[tuple[str, int, bool]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(costs, "_ROUNDS", 1)
    monkeypatch.setattr(costs, "_DECODED", 3)
    configs = {name: override(FAMILIES[name], SMALL) for name in ("tsm", "two-stream")}
    runs, frames = train_families(configs, video_squares, tmp_path / "runs", seeds=(1, 2))
    assert {name: len(seeded) for name, seeded in runs.items()} == {"tsm": 2, "two-stream": 2}
    assert judge_untrained[:4] == [
        ("tsm", 1, False),
        ("two-stream", 1, False),
        ("tsm, a single frame", 1, True),
        ("two-stream, a single frame", 1, True),
    ]
    assert sorted(judge_untrained[4:]) == [("tsm", 2, False), ("two-stream", 2, False)]
    write_table(runs, frames, video_squares, tmp_path / "table.md")
    text = (tmp_path / "table.md").read_text()
    rows = [row.strip("| ").split(" | ") for row in text.splitlines() if row.startswith(("| tsm", "| two-stream"))]
    assert [row[0] for row in rows] == ["tsm", "two-stream"] * 2
    for quality, cost in zip(rows[:2], rows[2:], strict=True):
        assert quality[1] == "2" and "±" in quality[2] and float(quality[-1]) >= 0
        assert all(float(cell.replace(",", "")) > 0 for cell in (cost[1], *cost[5:]))
    assert "appearance 0." in text and "24 clips to learn from, 6 to watch by, 8 to judge by, of left, right" in text


def test_only_for_the_ceiling_time_may_run_backwards() -> None:
    thermal, plain = list_configs(thermal=True), list_configs(thermal=False)
    assert thermal.keys() == plain.keys() == FAMILIES.keys()
    for name in FAMILIES:
        assert not plain[name].augmentation.symmetries and len(thermal[name].augmentation.symmetries) == 4
        assert (
            replace(thermal[name], augmentation=plain[name].augmentation, grey=False, shape=plain[name].shape)
            == plain[name]
        )
