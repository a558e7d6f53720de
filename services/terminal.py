"""What the commands of `seqserve` say, and how they refuse."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from rich.console import Console

console = Console(highlight=False)
MODELS_DIR = Path(__file__).resolve().parent.parent / "models"


def fail(message: str) -> NoReturn:
    """Ends the command with status 1 and this text."""
    console.print(message, style="red", soft_wrap=True, markup=False)
    sys.exit(1)


@contextmanager
def refusals(*kinds: type[Exception]) -> Iterator[None]:
    """Errors of these kinds, and files that are not there, end the command with their text."""
    refused: tuple[type[Exception], ...] = (OSError, *kinds)
    try:
        yield
    except refused as error:
        fail(str(error))
