"""Fixtures that every kind of test uses."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data pack; the test is skipped where it is not there."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"needs the real data pack in {path}, which is not here")
    return path


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """Folder of the bundled SavedModels."""
    return ROOT / "models"
