"""The downloader against a real HTTP server that knows ranges, drops connections, lies and changes its files."""

import base64
import errno
import fcntl
import hashlib
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from training.recipe.errors import DataError
from training.sketch.checksums import crc32c, measure_checksum, read_checksums
from training.sketch.download import download, read_classes

CAT = "/full/simplified/cat.ndjson"


def content(seed: int, size: int = 700_000) -> bytes:
    return (hashlib.sha256(bytes([seed])).digest() * (size // 32 + 1))[:size]


@dataclass
class Bucket:
    """What the server holds, and how it misbehaves; `requests` are (method, path, Range)."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)  # of the next answers, before it answers as it should
    drop_after: list[int] = field(default_factory=list)  # bytes, of the next bodies
    hash_header: str | None = None
    ignores_ranges: bool = False

    def etag(self, path: str) -> str:
        return f'"{hashlib.sha1(self.files[path]).hexdigest()}"'

    def ranges(self) -> list[str | None]:
        return [r for method, _, r in self.requests if method == "GET"]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bucket: Bucket

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        bucket = self.bucket
        path = self.path.replace("%20", " ")
        bucket.requests.append((self.command, path, self.headers["Range"]))
        if bucket.statuses or path not in bucket.files:
            self.send_response(bucket.statuses.pop(0) if bucket.statuses else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data, start = bucket.files[path], 0
        asked = self.headers["Range"]
        if asked and self.headers["If-Range"] == bucket.etag(path) and not bucket.ignores_ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        md5 = base64.b64encode(hashlib.md5(data).digest()).decode()
        self.send_header("ETag", bucket.etag(path))
        self.send_header("x-goog-hash", bucket.hash_header or f"md5={md5}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        if body:
            drop = bucket.drop_after.pop(0) if bucket.drop_after else None
            self.wfile.write(data[start:] if drop is None else data[start : start + drop])
            self.close_connection = drop is not None


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    held = Bucket(files={CAT: content(1), "/full/simplified/alarm clock.ndjson": content(2, 5)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"bucket": held}))
    held.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield held
    server.shutdown()
    thread.join()
    server.server_close()


def load(bucket: Bucket, folder: Path, *classes: str) -> list[Path]:
    return download(classes or ("cat",), "simplified", folder, bucket.url, attempts=3, pause_s=0.001)


def test_loads_files_whole_and_once(bucket: Bucket, tmp_path: Path) -> None:
    paths = load(bucket, tmp_path / "new", "cat", "alarm clock")
    assert [path.name for path in paths] == ["cat.ndjson", "alarm clock.ndjson"]
    assert [path.read_bytes() for path in paths] == [content(1), content(2, 5)]
    assert len(bucket.ranges()) == 2
    load(bucket, tmp_path / "new", "cat", "alarm clock")
    assert len(bucket.ranges()) == 2
    assert len(list((tmp_path / "new").iterdir())) == 2


def test_a_file_cut_off_by_another_program_is_loaded_again(bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "cat.ndjson").write_bytes(content(1)[:1000])
    assert load(bucket, tmp_path)[0].read_bytes() == content(1)


def test_goes_on_where_the_connection_broke(bucket: Bucket, tmp_path: Path) -> None:
    bucket.drop_after = [300_000, 200_000, 0, 100_000]  # more drops than attempts, but with progress between them
    assert load(bucket, tmp_path)[0].read_bytes() == content(1)
    starts = [int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0 for asked in bucket.ranges()]
    assert starts == [0, 300_000, 500_000, 500_000, 600_000]


def test_goes_on_in_a_later_call(bucket: Bucket, tmp_path: Path) -> None:
    bucket.drop_after = [250_000, 0, 0, 0]
    with pytest.raises(ConnectionError, match=r"cat\.ndjson.*3 times"):
        load(bucket, tmp_path)
    assert not (tmp_path / "cat.ndjson").exists()
    bucket.requests.clear()
    bucket.drop_after = []
    assert load(bucket, tmp_path)[0].read_bytes() == content(1)
    assert bucket.ranges() == ["bytes=250000-"]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_that_changed_meanwhile_starts_anew(bucket: Bucket, tmp_path: Path) -> None:
    bucket.drop_after = [250_000, 0, 0, 0]
    with pytest.raises(ConnectionError):
        load(bucket, tmp_path)
    bucket.drop_after = []
    bucket.files[CAT] = content(7)
    assert load(bucket, tmp_path)[0].read_bytes() == content(7)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_that_changes_between_two_answers_starts_anew(bucket: Bucket, tmp_path: Path, monkeypatch) -> None:
    answered = Handler.answer

    def change(handler: Handler, body: bool) -> None:
        answered(handler, body)
        if body and len(handler.bucket.ranges()) == 1:
            handler.bucket.files[CAT] = content(8, 600_000)

    monkeypatch.setattr(Handler, "answer", change)
    bucket.drop_after = [250_000]
    assert load(bucket, tmp_path)[0].read_bytes() == content(8, 600_000)


def test_a_server_without_ranges_sends_all_again(bucket: Bucket, tmp_path: Path) -> None:
    bucket.ignores_ranges, bucket.drop_after = True, [250_000]
    assert load(bucket, tmp_path)[0].read_bytes() == content(1)


@pytest.mark.parametrize("header", ["md5=AAAAAAAAAAAAAAAAAAAAAA==", "crc32c=AAAAAA=="])
def test_another_checksum_than_the_server_tells_is_refused(bucket: Bucket, tmp_path: Path, header: str) -> None:
    bucket.hash_header = header
    with pytest.raises(DataError, match=rf"cat\.ndjson: {header.partition('=')[0]} .* the server says AAAAAA"):
        load(bucket, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_crc32c_is_enough(bucket: Bucket, tmp_path: Path) -> None:
    checksum = base64.b64encode(crc32c(content(1)).to_bytes(4, "big")).decode()
    bucket.hash_header = f"crc32c={checksum}"
    assert load(bucket, tmp_path)[0].read_bytes() == content(1)


def test_waits_out_a_server_that_is_busy(bucket: Bucket, tmp_path: Path) -> None:
    bucket.statuses = [503, 429]
    assert load(bucket, tmp_path)[0].read_bytes() == content(1)
    bucket.statuses = [503, 503, 503]
    with pytest.raises(ConnectionError, match=r"status 503, 3 times"):
        load(bucket, tmp_path)


def test_what_is_not_there_is_named_and_stops_the_rest(bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"dog\.ndjson is not there"):
        load(bucket, tmp_path, "dog", "cat")
    assert bucket.ranges() == []
    with pytest.raises(ValueError, match="no class 'kitten'"):
        load(bucket, tmp_path, "kitten")
    with pytest.raises(ValueError, match="no format 'gif'; one of simplified, raw"):
        download(["cat"], "gif", tmp_path, bucket.url)


def test_a_disk_too_small_is_found_before_loading(bucket: Bucket, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=699_999))
    with pytest.raises(OSError, match=r"700,000 bytes to load, 699,999 bytes free") as raised:
        load(bucket, tmp_path)
    assert raised.value.errno == errno.ENOSPC
    assert bucket.ranges() == []


def test_two_processes_do_not_load_into_one_folder(bucket: Bucket, tmp_path: Path) -> None:
    other = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(BlockingIOError, match="another process is loading"):
        load(bucket, tmp_path)
    os.close(other)
    assert load(bucket, tmp_path)[0].exists()


def test_crc32c_is_that_of_the_standard(tmp_path: Path) -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4
    assert crc32c(bytes(range(32))) == 0x46DD794E
    data = content(3, 2_300_001)
    assert crc32c(data[1_000_003:], crc32c(data[:1_000_003])) == crc32c(data)
    assert crc32c(data[:5000]) == crc32c(data[1000:5000], crc32c(data[:1000]))
    (tmp_path / "file").write_bytes(data)
    assert measure_checksum(tmp_path / "file", "crc32c") == base64.b64encode(crc32c(data).to_bytes(4, "big")).decode()


def test_an_etag_that_is_an_md5_is_one() -> None:
    md5 = hashlib.md5(b"cat")
    assert read_checksums({"etag": f'"{md5.hexdigest()}"'}) == {"md5": base64.b64encode(md5.digest()).decode()}
    assert read_checksums({"etag": '"v12"'}) == {}


def test_the_classes_are_those_of_the_dataset(shared_data: Path) -> None:
    files = (shared_data / "sketch" / "simplified_ndjson").glob("*.ndjson")
    assert sorted(read_classes()) == sorted(path.stem for path in files)
    assert len(read_classes()) == 345
