"""SketchRNN .npz files: real samples, and files that are wrong, cut off or hostile."""

import io
import pickle
import random
import resource
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from training.recipe.errors import DataError
from training.sketch.formats.sketchrnn import read_sketchrnn
from training.sketch.ink import ink_from_stroke3

STEPS = np.array([[10, 20, 0], [5, -5, 1], [1, 1, 0]], np.int16)
HEADER = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"


def npy(pickled: bytes, header: bytes = HEADER, version: int = 1) -> bytes:
    size = struct.pack("<H" if version == 1 else "<I", len(header) + 1)
    return b"\x93NUMPY" + bytes([version, 0]) + size + header + b"\n" + pickled


def objects(*drawings: np.ndarray) -> np.ndarray:
    array = np.empty(len(drawings), object)
    array[:] = drawings
    return array


def write(path: Path, content: bytes, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for split in ("train", "valid", "test"):
            archive.writestr(f"{split}.npy", content)
    return path


def refused(path: Path, text: str) -> None:
    with pytest.raises(DataError, match=text) as raised:
        read_sketchrnn(path)
    assert str(path) in str(raised.value)
    assert len(str(raised.value)) < 500


def test_reads_files_pickled_by_python_2(shared_data: Path) -> None:
    path = shared_data / "sketch" / "format_samples" / "omniglot.npz"
    splits = read_sketchrnn(path)
    assert {s: len(d) for s, d in splits.items()} == {"train": 30000, "valid": 1000, "test": 1000}
    assert {s: d.points.shape for s, d in splits.items()} == {
        "train": (933430, 3),
        "valid": (31719, 3),
        "test": (31144, 3),
    }
    theirs = np.load(path, allow_pickle=True, encoding="latin1")["test"]
    for ours, drawing in zip(splits["test"], theirs, strict=True):
        np.testing.assert_array_equal(ours, ink_from_stroke3(drawing))


@pytest.mark.parametrize("dtype", ["i1", "<i2", ">i4", "<i8", "<f4", "<f8", ">f2"])
@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_reads_what_numpy_writes(tmp_path: Path, dtype: str, protocol: int) -> None:
    by_column = np.asfortranarray(STEPS.astype(dtype))
    if protocol == 2:  # only Python 2 writes bytes there; 3 asks for a function, which is refused
        refused(write(tmp_path / "a.npz", npy(pickle.dumps(objects(by_column), 2))), r"asks for _codecs\.encode")
        return
    content = npy(pickle.dumps(objects(by_column), protocol))
    for inks in read_sketchrnn(write(tmp_path / "a.npz", content)).values():
        assert inks[0].tolist() == [[10, 20, 0], [15, 15, 1], [16, 16, 1]]


@pytest.mark.parametrize("version", [1, 2, 3])
def test_reads_headers_of_all_versions(tmp_path: Path, version: int) -> None:
    content = npy(pickle.dumps(objects(STEPS), 4), version=version)
    assert len(read_sketchrnn(write(tmp_path / "a.npz", content, zipfile.ZIP_DEFLATED))["valid"]) == 1


def test_fractions_stay(tmp_path: Path) -> None:
    content = npy(pickle.dumps(objects(STEPS * np.float32(0.5)), 4))
    inks = read_sketchrnn(write(tmp_path / "a.npz", content))["train"]
    assert inks.points.dtype == np.float32
    assert inks[0].tolist() == [[5, 10, 0], [7.5, 7.5, 1], [8, 8, 1]]


class Touch:
    """Asks the unpickler to make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


def test_a_file_that_asks_for_code_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    touch = pickle.dumps(Touch(ran))
    system = b"cposix\nsystem\n(U" + bytes([len(f"touch {ran}")]) + f"touch {ran}".encode() + b"tR."
    inside = pickle.dumps(objects(np.array([Touch(ran)], object)))
    old = b"(S'touch " + str(ran).encode() + b"'\nios\nsystem\n."
    for bomb in (touch, system, inside, old):
        refused(write(tmp_path / "bomb.npz", npy(bomb)), "asks for|opcode|something else")
    with pytest.raises(pickle.UnpicklingError, match=r"."):
        pickle.loads(b"cposix\nsystem\n(U\x01")
    pickle.loads(touch)
    assert ran.exists()  # the bomb was live


RECONSTRUCT = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
HOSTILE = {
    "a huge array": (RECONSTRUCT + b"J\xff\xff\xff\x7f\x85U\x01b\x87R.", "calls something"),
    "a huge array by ndarray": (b"\x80\x02cnumpy\nndarray\nJ\xff\xff\xff\x7f\x85\x85R.", "calls something"),
    "a memo of 32 GB": (b"\x80\x02Nr\xff\xff\xff\x7f.", "something else than an array"),
    "bytes of 16 EB": (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x0f.", "cut off"),
    "laughs": (b"\x80\x02U\x03lol" + b"q\x01h\x01h\x01\x87" * 400 + b".", "opcodes"),
    "a list in itself": (b"\x80\x02]q\x01h\x01a.", "something else than arrays"),
    "opcodes without end": (b"\x80\x02" + b"N" * 100_000, "more than 1088 opcodes"),
    "an extension": (b"\x80\x02\x82\x01.", "opcode 0x82"),
    "a persistent id": (b"\x80\x02U\x01aQ.", "opcode 0x51"),
    "another class": (b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.", r"asks for builtins\.eval"),
    "an attribute of numpy": (b"cnumpy\nload\n.", r"asks for numpy\.load"),
    "nothing": (b"", "cut off"),
    "a number": (b"\x80\x02K\x01.", "something else than an array"),
    "an empty stack": (b"\x80\x02.", "cut off"),
    "more drawings": (pickle.dumps(objects(STEPS, STEPS)), "2 arrays .* the header says 1"),
    "objects inside": (pickle.dumps(objects(objects(STEPS))), "an array of type 'O8'"),
    "words": (pickle.dumps(objects(np.array(["a"]))), "an array of type 'U1'"),
    "five columns": (pickle.dumps(objects(np.zeros((9, 5)))), r"drawing 0 has shape \(9, 5\); expected \(points, 3\)"),
    "no points": (pickle.dumps(objects(np.zeros((0, 3)))), r"drawing 0 has shape \(0, 3\)"),
    "not a number": (pickle.dumps(objects(STEPS + np.nan)), "drawing 0 has a value of nan"),
    "infinity": (pickle.dumps(objects(STEPS + np.inf)), "drawing 0 has a value of inf"),
    "far away": (pickle.dumps(objects(np.full((1, 3), 2**40))), "a value of 1099511627776"),
    "numbers as such": (pickle.dumps(STEPS), "something else than an array|no object array"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickles_are_refused_in_little_memory(tmp_path: Path, name: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pickled, text = HOSTILE[name]
    refused(write(tmp_path / "bad.npz", npy(pickled)), text)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


def resized(shape: bytes) -> bytes:
    """The pickle of `STEPS` with another shape in it."""
    good = pickle.dumps(objects(STEPS), 4)
    assert good.count(b"K\x03K\x03\x86") == 1
    return good.replace(b"K\x03K\x03\x86", shape)


def test_sizes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    refused(write(tmp_path / "a.npz", npy(resized(b"K\x04K\x03\x86"))), r"shape \(4, 3\) and type i2 in 18 bytes")
    refused(write(tmp_path / "a.npz", npy(resized(b"J\xfd\xff\xff\xffJ\xfd\xff\xff\xff\x86"))), r"shape \(-3, -3\)")
    refused(write(tmp_path / "a.npz", npy(resized(b"NK\x03\x86"))), "something else than an array")


def test_archives_that_are_not_drawings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.npz"
    path.write_bytes(b"<html>not found</html>")
    refused(path, "not a zip file; expected an undamaged .npz")
    path.write_bytes(b"")
    refused(path, "not a zip file")
    np.savez(path, train=objects(STEPS), valid=objects(STEPS))
    refused(path, r"no test\.npy in it, but \['train\.npy', 'valid\.npy'\]; expected train, valid, test")
    np.savez(path, train=STEPS, valid=STEPS, test=STEPS)
    refused(path, r"train\.npy holds an array of int16 of shape \(3, 3\); expected objects")
    refused(write(path, b"no header"), r"train\.npy has no header of NumPy's")
    refused(write(path, npy(b"", b"{'descr': " + b"(" * 3000)), "no header of NumPy's")
    refused(write(path, npy(b"", b"{'descr': '|O', 'fortran_order': False, 'shape': (-1,), }")), "expected objects")
    huge = b"{'descr': '|O', 'fortran_order': False, 'shape': (999999999,), }"
    refused(write(path, npy(b"", huge)), "promises 999,999,999 drawings in 0 bytes")
    refused(write(path, npy(b"N."), zipfile.ZIP_BZIP2), "compressed by method 12")
    with pytest.raises(FileNotFoundError):
        read_sketchrnn(tmp_path / "missing.npz")


def test_zip_bombs_are_refused_unread(tmp_path: Path) -> None:
    path = write(tmp_path / "bomb.npz", npy(bytes(50_000_000)), zipfile.ZIP_DEFLATED)
    refused(path, r"blown up to 50,000,067: not drawings")
    data = bytearray(write(path, npy(bytes(1000))).read_bytes())
    for size in (data.index(b"PK\x01\x02") + 24, data.index(b"PK\x03\x04") + 22):
        data[size : size + 4] = (2**32 - 2).to_bytes(4, "little")
    path.write_bytes(data)
    refused(path, "train.npy has 4,294,967,294 bytes; at most")


def test_damaged_files_give_a_clear_error_or_drawings_but_nothing_else(tmp_path: Path, fuzz_size: int) -> None:
    rng, path = random.Random(0), tmp_path / "odd.npz"
    good = io.BytesIO()
    np.savez(good, **{s: objects(STEPS, STEPS[:2]) for s in ("train", "valid", "test")})
    pickled, answers = pickle.dumps(objects(STEPS), 4), set()
    for turn in range(600 * fuzz_size):
        whole = bytearray(good.getvalue() if turn % 2 else pickled)
        for _ in range(rng.choice((1, 1, 3))):
            whole[rng.randrange(len(whole))] = rng.randrange(256)
        if rng.random() < 0.3:
            del whole[rng.randrange(len(whole)) :]
        if turn % 2:
            path.write_bytes(whole)
        else:
            write(path, npy(bytes(whole)))
        try:
            answers.add(type(read_sketchrnn(path)))
        except DataError as error:
            answers.add(type(error))
    assert answers == {dict, DataError}
