import json
import shutil

import numpy as np
import pytest

from services.runtime.artifact import ArtifactError, load_model, newest_version

INPUTS = {"values", "first_day"}


@pytest.fixture
def models_copy(models_dir, tmp_path):
    shutil.copytree(models_dir / "forecast", tmp_path / "forecast")
    return tmp_path


def test_a_bundled_model_loads_and_answers(models_dir):
    model = load_model(models_dir, "forecast", INPUTS)
    context = model.manifest.options["context"]
    outputs = model.run({"values": np.full((2, context), 5.0), "first_day": np.array([0, 1], np.int32)})
    assert outputs["mean"].shape == (2, 7)


def test_the_highest_number_is_the_newest(models_copy):
    shutil.copytree(models_copy / "forecast" / "1", models_copy / "forecast" / "10")
    shutil.copytree(models_copy / "forecast" / "1", models_copy / "forecast" / "9")
    assert newest_version(models_copy, "forecast").name == "10"


def test_a_missing_model_names_the_command_that_makes_one(tmp_path):
    with pytest.raises(ArtifactError, match="holds no version; export one with `seqserve train sketch`"):
        load_model(tmp_path, "sketch", {"ink"})


def test_a_changed_file_is_refused(models_copy):
    with (models_copy / "forecast" / "1" / "saved_model.pb").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ArtifactError, match=r"saved_model.pb has sha256 .* the manifest says"):
        load_model(models_copy, "forecast", INPUTS)


def test_a_manifest_whose_digest_does_not_fit_is_refused(models_copy):
    edit_manifest(models_copy, lambda m: m.update(digest="0" * 64))
    with pytest.raises(ArtifactError, match="digest does not match"):
        load_model(models_copy, "forecast", INPUTS)


def test_other_inputs_than_the_service_feeds_are_refused(models_dir):
    with pytest.raises(ArtifactError, match=r"feeds \['ink'\], the model reads \['first_day', 'values'\]"):
        load_model(models_dir, "forecast", {"ink"})


def test_a_model_that_answers_its_golden_batch_differently_is_refused(models_copy):
    folder = models_copy / "forecast" / "1"
    with np.load(folder / "golden.npz") as golden:
        arrays = dict(golden)
    arrays["out.mean"] = arrays["out.mean"] * 1.01 + 1
    np.savez_compressed(folder / "golden.npz", **arrays)
    edit_manifest(models_copy, lambda m: redo_digests(m, folder))
    with pytest.raises(ArtifactError, match="golden output 'mean' is off by"):
        load_model(models_copy, "forecast", INPUTS)


def test_a_manifest_of_another_format_is_refused(models_copy):
    edit_manifest(models_copy, lambda m: m.update(format=2))
    with pytest.raises(ArtifactError, match="has format 2; this server reads 1"):
        load_model(models_copy, "forecast", INPUTS)


def edit_manifest(models, change):
    path = models / "forecast" / "1" / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def redo_digests(manifest, folder):
    import hashlib

    manifest["files"]["golden.npz"] = hashlib.sha256((folder / "golden.npz").read_bytes()).hexdigest()
    manifest["digest"] = hashlib.sha256(json.dumps(manifest["files"], sort_keys=True).encode()).hexdigest()
