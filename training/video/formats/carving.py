"""Makes train, valid and test of what a data set has, without parting what belongs together."""

from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np

from training.recipe.errors import DataError
from training.video.formats.entry import Entry, find_source

SPLITS = ("train", "valid", "test")
TEST_SHARE = 0.2
_FEWEST_GROUPS = 5


def fill_splits(entries: Sequence[Entry], valid_share: float, seed: int) -> list[Entry]:
    """Gives every video one of the three splits.

    What the data set has is kept, but where it has one split besides training, that is "test". Where it has none, whole
    groups with a fifth of the videos become "test". Videos for "valid" are then taken from training: whole groups, or
    where there are fewer than five of them, or fewer than two with some label, the clips that were cut from the same
    footage. Every label stays in both, unless all of its videos belong together: those stay in training.

    Raises:
        DataError: there is no training split, nothing besides it, or too little to take from it.
    """
    given = {entry.split for entry in entries}
    if given == {None}:
        units: list[Hashable] = [entry.group for entry in entries]
        if len(set(units)) == 1:
            units = _find_footage(entries)
        return fill_splits(_hold_out(entries, units, TEST_SHARE, "test", seed), valid_share, seed)
    if None in given or "train" not in given or len(given) == 1:
        found = ", ".join(sorted(split or "none" for split in given))
        raise DataError(f"the data set has the splits {found}; expected train, and valid or test besides")
    if len(given) == len(SPLITS):
        return list(entries)
    held = [replace(entry, split="test") for entry in entries if entry.split != "train"]
    training = [entry for entry in entries if entry.split == "train"]
    return _hold_out(training, _find_units(training), valid_share, "valid", seed) + held


def _find_units(entries: Sequence[Entry]) -> list[Hashable]:
    groups = {(entry.label, entry.group) for entry in entries}
    labels = [label for label, _ in groups]
    fewest = min(labels.count(label) for label in set(labels))
    if len({group for _, group in groups}) < _FEWEST_GROUPS or fewest < 2:
        return _find_footage(entries)
    return [entry.group for entry in entries]


def _find_footage(entries: Sequence[Entry]) -> list[Hashable]:
    """Names are unique within a group only, where the data set tells the groups."""
    return [(entry.group if entry.known else "", find_source(entry.path)) for entry in entries]


def _hold_out(entries: Sequence[Entry], units: Sequence[Hashable], share: float, split: str, seed: int) -> list[Entry]:
    numbers = {unit: number for number, unit in enumerate(dict.fromkeys(units))}
    labels = {label: number for number, label in enumerate(sorted({entry.label for entry in entries}))}
    counts = np.zeros((len(numbers), len(labels)), int)
    for entry, unit in zip(entries, units, strict=True):
        counts[numbers[unit], labels[entry.label]] += 1
    held = _choose_units(counts, share, np.random.default_rng([seed, SPLITS.index(split)]))
    if not held.any():
        raise DataError(f"{len(entries)} videos of {len(numbers)} groups are too few to take some for {split}")
    return [
        replace(entry, split=split if held[numbers[unit]] else "train")
        for entry, unit in zip(entries, units, strict=True)
    ]


def _choose_units(counts: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Units with about `share` of each label, so that others are left of each: [units, labels] -> bool [units]."""
    target = share * counts.sum(axis=0)
    left = counts.sum(axis=0)
    taken = np.zeros_like(left)
    held = np.zeros(len(counts), bool)

    def take(unit: int) -> None:
        nonlocal left, taken
        held[unit], left, taken = True, left - counts[unit], taken + counts[unit]

    order = rng.permutation(len(counts))
    for unit in order:
        nearer = np.abs(target - taken).sum() > np.abs(target - taken - counts[unit]).sum()
        if nearer and (left > counts[unit])[counts[unit] > 0].all():
            take(unit)
    for label in np.flatnonzero(counts.sum(axis=0) > 0):
        able = [unit for unit in order if counts[unit, label] and (left > counts[unit])[counts[unit] > 0].all()]
        if not taken[label] and able:
            take(min(able, key=lambda unit: counts[unit].sum()))
    return held
