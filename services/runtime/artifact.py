"""Reads a version's folder: its manifest, and whether its files are the ones that were exported.

The layout is TensorFlow Serving's, `<models>/<name>/<version>/`, plus manifest.json and golden.npz,
which the training package writes. A SavedModel is code: one without a manifest is loaded only where that is allowed.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, Field

from services.runtime.execution.lattice import Cell, Graph, Lattice

FORMATS = (1, 2)
GOLDEN = "golden.npz"


class ArtifactError(Exception):
    """A model folder cannot be served; the text names the file and the fix."""


class SignatureManifest(BaseModel):
    """The signature that the manifest speaks of."""

    name: str
    inputs: dict[str, Any]


class CellManifest(BaseModel):
    """One cell, how it runs, and what was measured where it was exported."""

    batch: int = Field(ge=1)
    length: int = Field(ge=0)
    graph: Graph
    plain_ms: float = 0
    xla_ms: float = 0


class LatticeManifest(BaseModel):
    """The shapes that the signature runs at."""

    padded_input: str
    lengths_input: str
    cells: list[CellManifest] = Field(min_length=1)

    def to_lattice(self) -> Lattice:
        """The lattice that batches are made for."""
        graphs = {Cell(c.batch, c.length): c.graph for c in self.cells}
        return Lattice(graphs, self.padded_input, self.lengths_input)


class Manifest(BaseModel):
    """What manifest.json tells (format 2; 1 is the same without a lattice)."""

    format: int
    name: str
    task: str
    signature: SignatureManifest
    labels: list[str]
    options: dict[str, Any]
    golden_tolerance: float
    digest: str
    files: dict[str, str]
    lattice: LatticeManifest | None = None
    classify_output: str = ""
    regress_output: str = ""


def newest_version(models_dir: Path, name: str) -> Path:
    """Folder of the highest version number of a model."""
    home = models_dir / name
    versions = [p for p in home.iterdir() if p.name.isdigit()] if home.is_dir() else []
    if not versions:
        raise ArtifactError(f"{home} holds no version; export one with `seqserve train {name}`")
    return max(versions, key=lambda p: int(p.name))


def read_manifest(folder: Path) -> Manifest:
    """Reads and checks manifest.json.

    Raises:
        ArtifactError: it is not there, or not a manifest that this server reads.
    """
    try:
        raw = json.loads((folder / "manifest.json").read_text())
        manifest = Manifest.model_validate(raw)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{folder}/manifest.json cannot be read: {error}") from error
    if manifest.format not in FORMATS:
        known = " and ".join(map(str, FORMATS))
        raise ArtifactError(f"{folder}/manifest.json has format {manifest.format}; this server reads {known}")
    return manifest


def check_files(folder: Path, manifest: Manifest) -> None:
    """Compares every file with its sha256: a SavedModel is code, so nothing unknown is loaded.

    Raises:
        ArtifactError: a file is missing, was changed, or is not in the manifest.
    """
    for name, expected in manifest.files.items():
        try:
            actual = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        except OSError as error:
            raise ArtifactError(f"{folder}/{name} cannot be read: {error.strerror}") from error
        if actual != expected:
            raise ArtifactError(f"{folder}/{name} has sha256 {actual[:12]}…, the manifest says {expected[:12]}…")
    if unknown := sorted(_list_files(folder) - set(manifest.files) - {"manifest.json"}):
        raise ArtifactError(f"{folder}/{unknown[0]} is not in the manifest; re-export the model, or remove the file")
    if digest_of(manifest.files) != manifest.digest:
        raise ArtifactError(f"{folder}/manifest.json: its digest does not match its list of files")


def digest_files(folder: Path) -> str:
    """SHA-256 over all files of a folder that came without a manifest."""
    return digest_of({n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in _list_files(folder)})


def digest_of(files: dict[str, str]) -> str:
    """SHA-256 over the files' own, in the order of their names."""
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def read_golden(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Inputs and the outputs that they must give, batch first."""
    with np.load(folder / GOLDEN, allow_pickle=False) as golden:
        inputs = {n.removeprefix("in."): golden[n] for n in golden.files if n.startswith("in.")}
        outputs = {n.removeprefix("out."): golden[n] for n in golden.files if n.startswith("out.")}
    return inputs, outputs


def _list_files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
