"""A loaded model version: every signature, checked inputs, batched execution."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import structlog
from seqserve.model.v1 import model_service_pb2 as model_pb

from services.runtime.artifact import Manifest
from services.runtime.deadline import Deadline
from services.runtime.errors import DeadlineExceeded, Internal, InvalidInput, NotFound
from services.runtime.execution.batching import Batcher
from services.runtime.execution.lattice import Row, split_rows, stack_outputs
from services.runtime.execution.saved_model import Run
from services.runtime.execution.signature import NotRowwise, Signature, check_inputs, check_outputs, describe_signature
from services.runtime.execution.statistics import Recorder
from services.runtime.tensors import Arrays

DEFAULT_SIGNATURE = "serving_default"

log = structlog.get_logger(__name__)


class Servable:
    """One version of one model."""

    def __init__(
        self,
        name: str,
        version: str,
        digest: str,
        manifest: Manifest | None,
        signatures: Mapping[str, Signature],
        batchers: Mapping[str, Batcher],
        executor: ThreadPoolExecutor,
        recorder: Recorder,
    ) -> None:
        """Takes what `loading.load_servable` made."""
        self.name, self.version, self.digest = name, version, digest
        self._manifest = manifest
        self._signatures, self._batchers = signatures, dict(batchers)
        self._executor, self._recorder = executor, recorder

    @property
    def manifest(self) -> Manifest:
        """What the model's makers say of it.

        Raises:
            Internal: it came without.
        """
        if self._manifest is None:
            raise Internal(f"{self.name} {self.version} has no manifest")
        return self._manifest

    async def infer_rows(self, rows: Sequence[Row], deadline: Deadline | None = None) -> list[Row]:
        """Runs rows, without their batch dimension, through the default signature.

        Raises:
            ServiceError: as `Batcher.submit`.
        """
        started_s = time.perf_counter()
        is_success = False
        try:
            outputs = await self._batchers[DEFAULT_SIGNATURE].submit(rows, deadline) if rows else []
            is_success = True
        finally:
            self._recorder.request_done(time.perf_counter() - started_s, is_success)
        return outputs

    async def infer(
        self, inputs: Arrays, signature: str = "", outputs: Sequence[str] = (), deadline: Deadline | None = None
    ) -> dict[str, np.ndarray]:
        """Runs a batch: named arrays, batch first -> named arrays, batch first.

        Raises:
            InvalidInput: an input or an output's name is wrong.
            NotFound: no such signature.
            ServiceError: as `Batcher.submit`.
        """
        started_s = time.perf_counter()
        is_success = False
        try:
            answer = await self._infer(inputs, signature or DEFAULT_SIGNATURE, outputs, deadline)
            is_success = True
        finally:
            self._recorder.request_done(time.perf_counter() - started_s, is_success)
        return answer

    async def close(self) -> None:
        """Frees the model; nobody may be using it."""
        self._executor.shutdown(wait=False)

    async def _infer(
        self, inputs: Arrays, name: str, outputs: Sequence[str], deadline: Deadline | None
    ) -> dict[str, np.ndarray]:
        if name not in self._signatures:
            raise NotFound(f"no signature '{name[:64]}'; {', '.join(sorted(self._signatures))}", "signature")
        signature = self._signatures[name]
        wanted = check_outputs(outputs, signature.function)
        complete = check_inputs(inputs, signature.function)
        if batcher := self._batchers.get(name):
            try:
                computed = await _run_batched(batcher, signature, complete, deadline)
            except NotRowwise:
                log.warning("rows are not batched any more", model=self.name, version=self.version, signature=name)
                self._batchers.pop(name, None)
        if name not in self._batchers:
            computed = await self._run_alone(signature.function.run, complete, deadline)
        return {n: computed[n] for n in wanted}

    async def _run_alone(self, run: Run, inputs: Arrays, deadline: Deadline | None) -> dict[str, np.ndarray]:
        running = asyncio.get_running_loop().run_in_executor(self._executor, run, inputs)
        try:
            async with asyncio.timeout(deadline.remaining_s() if deadline else None):
                return await running
        except TimeoutError:
            raise DeadlineExceeded("the deadline passed before the answer was computed") from None

    def describe(self) -> model_pb.VersionDescription:
        """What a client may know of it."""
        manifest, lattices = self._manifest, [s.lattice for s in self._signatures.values() if s.lattice]
        return model_pb.VersionDescription(
            version=self.version,
            state=model_pb.VersionState.VERSION_STATE_AVAILABLE,
            digest=self.digest,
            classes=manifest.labels if manifest else [],
            signatures={name: describe_signature(signature) for name, signature in self._signatures.items()},
            statistics=self._recorder.describe(),
            classify_output=manifest.classify_output if manifest else "",
            regress_output=manifest.regress_output if manifest else "",
            max_batch_size=max((lattice.batches[-1] for lattice in lattices), default=0),
        )


async def _run_batched(
    batcher: Batcher, signature: Signature, inputs: Arrays, deadline: Deadline | None
) -> dict[str, np.ndarray]:
    assert signature.lattice is not None
    rows = split_rows(inputs, signature.lattice)
    if not rows:
        raise InvalidInput("0 rows; at least 1", "inputs")
    answered = await batcher.submit(rows, deadline)
    padded = inputs.get(signature.lattice.padded_input)
    length = padded.shape[1] if padded is not None else 0
    return stack_outputs(answered, length, signature.timed_outputs)
