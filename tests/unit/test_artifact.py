import json
import shutil

import pytest

from services.runtime.artifact import ArtifactError, check_files, newest_version, read_manifest
from services.runtime.execution.lattice import Cell


@pytest.fixture
def models_copy(models_dir, tmp_path):
    shutil.copytree(models_dir / "forecast", tmp_path / "forecast")
    return tmp_path


def test_the_bundled_manifests_tell_a_lattice(models_dir):
    lattice = read_manifest(models_dir / "sketch" / "1").lattice.to_lattice()
    assert (lattice.padded_input, lattice.lengths_input) == ("ink", "lengths")
    assert lattice.lengths[-1] == 256
    assert set(lattice.graphs) == {Cell(b, n) for b in lattice.batches for n in lattice.lengths}
    assert read_manifest(models_dir / "video" / "1").lattice.to_lattice().lengths == (0,)


def test_the_highest_number_is_the_newest(models_copy):
    shutil.copytree(models_copy / "forecast" / "1", models_copy / "forecast" / "10")
    shutil.copytree(models_copy / "forecast" / "1", models_copy / "forecast" / "9")
    assert newest_version(models_copy, "forecast").name == "10"


def test_a_missing_model_names_the_command_that_makes_one(tmp_path):
    with pytest.raises(ArtifactError, match="holds no version; export one with `seqserve train sketch`"):
        newest_version(tmp_path, "sketch")


def test_a_changed_file_is_refused(models_copy):
    folder = models_copy / "forecast" / "1"
    with (folder / "saved_model.pb").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ArtifactError, match=r"saved_model.pb has sha256 .* the manifest says"):
        check_files(folder, read_manifest(folder))


def test_a_file_that_the_manifest_does_not_know_is_refused(models_copy):
    folder = models_copy / "forecast" / "1"
    (folder / "assets.extra").mkdir()
    (folder / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"tf_serving_warmup_requests is not in the manifest"):
        check_files(folder, read_manifest(folder))


def test_a_missing_file_is_refused(models_copy):
    folder = models_copy / "forecast" / "1"
    (folder / "fingerprint.pb").unlink()
    with pytest.raises(ArtifactError, match=r"fingerprint.pb cannot be read: No such file"):
        check_files(folder, read_manifest(folder))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"digest": "0" * 64}, "digest does not match"),
        ({"format": 3}, "has format 3; this server reads 1 and 2"),
        ({"lattice": {"padded_input": "", "lengths_input": "", "cells": []}}, "cannot be read"),
    ],
)
def test_a_manifest_that_is_wrong_is_refused(models_copy, change, said):
    folder = models_copy / "forecast" / "1"
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ArtifactError, match=said):
        check_files(folder, read_manifest(folder))
