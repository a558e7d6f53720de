"""KTH actions: person, action and scene are in the name, and each person belongs to one split.

Source: Schuldt, Laptev, Caputo: Recognizing Human Actions: A Local SVM Approach, ICPR 2004,
https://www.csc.kth.se/cvap/actions.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from training.recipe.errors import DataError
from training.video.formats.entry import Entry

_NAME = re.compile(r"person(?P<person>\d{2})_(?P<action>[a-z]+)_d\d(?:_uncomp)?", re.IGNORECASE)
_PERSONS = {
    "train": (11, 12, 13, 14, 15, 16, 17, 18),
    "valid": (19, 20, 21, 23, 24, 25, 1, 4),
    "test": (22, 2, 3, 5, 6, 7, 8, 9, 10),
}


def resembles_kth(videos: Sequence[Path]) -> bool:
    """Whether all names are such as `person01_walking_d1_uncomp.avi`."""
    return bool(videos) and all(_NAME.fullmatch(path.stem) for path in videos)


def read_kth(videos: Sequence[Path]) -> list[Entry]:
    """Gives each video to the split that the authors gave its person to.

    Raises:
        DataError: a person that the data set does not have.
    """
    splits = {person: split for split, persons in _PERSONS.items() for person in persons}
    entries = []
    for path in videos:
        named = _NAME.fullmatch(path.stem)
        if named is None or int(named["person"]) not in splits:
            raise DataError(f"{path}: expected personNN_ACTION_dN_uncomp with a person from 01 to 25")
        split = splits[int(named["person"])]
        entries.append(Entry(path, named["action"].lower(), f"person{named['person']}", split, known=True))
    return entries
