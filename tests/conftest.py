"""Fixtures that every kind of test uses."""

import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import skimage.data
from skimage.transform import resize

from services.platform.ray_cluster import xla_flags

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_XLA_FLAGS", xla_flags())  # compiled cells are kept, as `seqserve up` keeps them

ROOT = Path(__file__).resolve().parent.parent
MOVES = {"pan right": (0, 1), "pan left": (0, -1), "tilt down": (1, 0), "tilt up": (-1, 0), "static": (0, 0)}


def pytest_addoption(parser):
    parser.addoption("--fuzz-size", type=int, default=1, help="how many times as much the fuzz tests try")


def pytest_make_parametrize_id(val, argname):
    """Names bytes by their argument: compressed ones differ from process to process, and all must agree on names."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def fuzz_size(request):
    """How many times as much the fuzz tests try: 1, more in `make fuzz`."""
    return request.config.getoption("--fuzz-size")


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


@pytest.fixture(scope="session")
def lean_models_dir(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled SavedModels, of whose cells only those of one row are compiled: all of them take XLA minutes."""
    folder = shutil.copytree(models_dir, tmp_path_factory.mktemp("lean") / "models")
    for file in folder.glob("*/*/manifest.json"):
        manifest = json.loads(file.read_text())
        for cell in manifest["lattice"]["cells"]:
            cell["graph"] = cell["graph"] if cell["batch"] == 1 else "plain"
        file.write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="session")
def real_drawing(shared_data: Path) -> Callable[[str, int], list]:
    """(class, index) -> strokes of a real drawing in the official simplified format."""

    def load(name: str, index: int) -> list:
        lines = (shared_data / "sketch" / "simplified_ndjson" / f"{name}.ndjson").read_text().splitlines()
        return json.loads(lines[index])["drawing"]

    return load


@pytest.fixture(scope="session")
def photo_clip() -> Callable[..., bytes]:
    """(move, container format, frames) -> a clip of a real photograph under a moving camera, 2 s at 25 fps."""
    photo = (resize(skimage.data.astronaut(), (512, 512)) * 255).astype(np.uint8)

    def render(move: str, container: str = "mp4", frames: int = 50) -> bytes:
        down, right = MOVES[move]
        target = io.BytesIO()
        with av.open(target, "w", format=container) as output:
            codec, pixels = {"gif": ("gif", "rgb8"), "avi": ("mpeg4", "yuv420p")}.get(container, ("h264", "yuv420p"))
            stream = output.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = 240, 180, pixels
            for i in range(frames):
                top, left = 166 + down * (i - 25) * 3, 136 + right * (i - 25) * 3
                crop = np.ascontiguousarray(photo[top : top + 180, left : left + 240])
                picture = av.VideoFrame.from_ndarray(crop, format="rgb24").reformat(format=pixels)
                output.mux(stream.encode(picture))
            output.mux(stream.encode(None))
        return target.getvalue()

    return render


@pytest.fixture(scope="session")
def save_affine() -> Callable[[Path, float, float], None]:
    """(folder, factor, offset) -> a SavedModel of y = factor * x + offset, as somebody else would export it."""

    def save(folder: Path, factor: float, offset: float) -> None:
        import tensorflow as tf

        module = tf.Module()
        module.factor = tf.Variable(factor)
        spec = tf.TensorSpec([None], tf.float32, name="x")
        function = tf.function(lambda x: {"y": module.factor * x + offset}, input_signature=[spec])
        tf.saved_model.save(module, str(folder), signatures={"serving_default": function})

    return save


@pytest.fixture(scope="session")
def affine_home(tmp_path_factory, save_affine) -> Path:
    """Models folder that holds "affine" in versions 1 (y = 2x + 1) and 2 (y = 3x + 1)."""
    home = tmp_path_factory.mktemp("foreign")
    save_affine(home / "affine" / "1", 2.0, 1.0)
    save_affine(home / "affine" / "2", 3.0, 1.0)
    return home


@pytest.fixture(scope="session")
def chromium():
    """A headless Chromium under Selenium; the test is skipped where it is not installed."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("needs a browser: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    made_up_camera = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", *made_up_camera):
        options.add_argument(argument)
    options.add_argument("--window-size=1280,900")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    yield browser
    browser.quit()


@pytest.fixture
def browser(chromium):
    """The browser, as new: its own size and colours, nothing open and nothing logged."""
    chromium.get("about:blank")
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    chromium.get_log("browser")
    return chromium


@pytest.fixture(scope="session")
def video_squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train, valid and test folders of videos of a bright square that crosses the dark: 12, 3 and 4 of each label."""
    folder = tmp_path_factory.mktemp("squares")
    for split, first, count in (("train", 0, 12), ("valid", 100, 3), ("test", 200, 4)):
        for number in range(first, first + count):
            write_square(folder / split / "left" / f"{number}.mp4", -1, 2 * number)
            write_square(folder / split / "right" / f"{number}.mp4", 1, 2 * number + 1)
    return folder


def write_square(path: Path, direction: int, seed: int) -> None:
    """A video of a second, 32 x 32 pixels, another for each seed; the square goes to the right (1) or the left (-1)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    top, grey = 2 + seed % 19, 150 + seed % 101
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for left in range(0, 20, 2)[::direction]:
            frame = np.full((32, 32, 3), 30, np.uint8)
            frame[top : top + 10, left : left + 10] = grey
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
        container.mux(stream.encode())
