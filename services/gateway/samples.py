"""A share of requests and answers, written to files for retraining. Off by default: they hold what clients sent.

Each file is JSON lines: {"time", "request_id", "service", "model", "version", "cache", "request", "response"}, the
messages as protobuf JSON with the field names of the protos (bytes in base64).
"""

import json
import queue
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from services.gateway.call import Call
from services.gateway.metrics import SAMPLES

MAX_WAITING = 256

log = structlog.get_logger(__name__)


class SampleWriter:
    """Writes on a thread of its own; what comes faster than it can write is dropped, and counted."""

    def __init__(
        self,
        folder: Path,
        share: float,
        max_file_bytes: int,
        max_total_bytes: int,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """Starts the thread.

        Args:
            folder: where the files go, one at a time per process.
            share: share of the requests that is written, in [0, 1].
            max_file_bytes: size at which a new file begins.
            max_total_bytes: size of all files of the folder; the oldest are deleted.
            draw: random numbers in [0, 1).
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._share, self._draw = folder, share, draw
        self._max_file_bytes, self._max_total_bytes = max_file_bytes, max_total_bytes
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue(MAX_WAITING)
        self._thread = threading.Thread(target=self._run, name="samples", daemon=True)
        self._thread.start()

    def saw(self, service: str, request: Message, response: Any, call: Call) -> None:
        """Keeps a share of what it is told."""
        if self._draw() >= self._share:
            return
        outcome = call.outcome
        sample = {
            "time": datetime.now(UTC).isoformat(),
            "request_id": call.request_id,
            "service": service,
            "model": outcome.model,
            "version": outcome.version,
            "cache": outcome.cache,
            "request": request,
            "response": response,
        }
        try:
            self._queue.put_nowait(sample)
        except queue.Full:
            SAMPLES.labels("dropped").inc()

    def close(self) -> None:
        """Writes what is left."""
        self._queue.put(None)
        self._thread.join(timeout=5)

    def _run(self) -> None:
        file = None
        while (sample := self._queue.get()) is not None:
            try:
                if file is None or file.tell() >= self._max_file_bytes:
                    if file:
                        file.close()
                    self._make_room()
                    file = (self._folder / f"samples-{time.time_ns()}.jsonl").open("a")
                texts = {name: MessageToDict(sample[name], preserving_proto_field_name=True) for name in MESSAGES}
                file.write(json.dumps(sample | texts) + "\n")
                file.flush()
                SAMPLES.labels("written").inc()
            except OSError as error:
                SAMPLES.labels("failed").inc()
                log.warning("sample not written", error=str(error))
        if file:
            file.close()

    def _make_room(self) -> None:
        files = sorted(self._folder.glob("samples-*.jsonl"))
        sizes = {file: file.stat().st_size for file in files}
        room = self._max_total_bytes - self._max_file_bytes
        while files and sum(sizes[file] for file in files) > room:
            files.pop(0).unlink(missing_ok=True)


MESSAGES = ("request", "response")
