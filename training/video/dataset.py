"""What a run learns from and is judged by: videos in files, or rendered clips of how a camera moves."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from training.video.clips import Clips, FilmedClips, RenderedClips
from training.video.config import Config
from training.video.listing import list_videos
from training.video.rendered.camera import LABELS
from training.video.rendered.dataset import render_dataset, render_luma
from training.video.rendered.photographs import film_photographs
from training.video.rendered.textures import TRAIN_FAMILIES, UNSEEN_FAMILIES
from training.video.store import open_videos

CHECK_SEED = 1_000_003  # never used for training
CACHE_DIR = Path("~/.cache/seqserve/videos").expanduser()
PHOTOGRAPHS = "photographs"


class Dataset:
    """The clips of each split: train, valid and test, and others that a model is judged by beside them.

    Args:
        labels: names of the classes.
        sources: by name of the split, what opens it; it is called when the split is asked for first.
    """

    def __init__(self, labels: tuple[str, ...], sources: Mapping[str, Callable[[], Clips]]) -> None:
        self.labels, self._sources = labels, dict(sources)
        self._opened: dict[str, Clips] = {}

    def __contains__(self, split: str) -> bool:
        return split in self._sources

    def __getitem__(self, split: str) -> Clips:
        if split not in self._opened:
            self._opened[split] = self._sources[split]()
        return self._opened[split]


def open_dataset(config: Config, data_dir: Path | None) -> Dataset:
    """The clips of a run.

    Args:
        data_dir: folder of videos, see `list_videos`; None renders clips.

    Raises:
        DataError: there are no videos, a file or a list is not what its format says, or a group is in two splits.
    """
    return _render(config) if data_dir is None else _read(config, data_dir)


def _render(config: Config) -> Dataset:
    counts, seed, shape, workers = config.rendered, config.seed, config.shape, config.workers

    def learn(start: int, count: int) -> Clips:
        if config.grey:
            return RenderedClips(*render_luma(seed, start, count, TRAIN_FAMILIES, shape, workers))
        return RenderedClips(*render_dataset(seed, count, TRAIN_FAMILIES, shape, workers, start))

    sources: dict[str, Callable[[], Clips]] = {
        "train": lambda: learn(0, counts.clips),
        "valid": lambda: learn(counts.clips, counts.valid_clips),
        "test": lambda: RenderedClips(*render_dataset(CHECK_SEED, counts.check_clips, UNSEEN_FAMILIES, shape, workers)),
    }
    if counts.photograph_clips:
        sources[PHOTOGRAPHS] = lambda: RenderedClips(*film_photographs(CHECK_SEED, counts.photograph_clips, shape))
    return Dataset(LABELS, sources)


def _read(config: Config, data_dir: Path) -> Dataset:
    listing = list_videos(data_dir, config.labels or None, config.fold, config.valid_share, config.seed)
    shape = config.shape
    videos = open_videos(listing, shape.height, shape.width, CACHE_DIR if config.cache else None, config.workers)
    sources = {name: partial(FilmedClips, part.read, part.classes, shape) for name, part in videos.splits.items()}
    return Dataset(videos.labels, sources)
