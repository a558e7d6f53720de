"""MLServer: a custom runtime per model, for `mlserver start`.

A drawing is an element of a BYTES tensor, its strokes as JSON, so that adaptive batching can join drawings of different
lengths; a series is a row of an FP64 tensor beside the day after it; a clip is an element of a BYTES tensor.
"""

import json
from datetime import date, timedelta
from typing import Any

import numpy as np
from mlserver import MLModel
from mlserver.codecs import Base64Codec, NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse

from bench.peers.servers.job import JOBS, Answer
from services.forecast.transforms import EPOCH, DailySeries


class JobModel(MLModel):
    """One model; the requests of a batch arrive as one."""

    async def load(self) -> bool:
        """Loads the model."""
        self._job: Any = JOBS[self.name]()
        return True

    def _respond(self, answers: list[Answer]) -> InferenceResponse:
        texts = [json.dumps(answer) for answer in answers]
        return InferenceResponse(model_name=self.name, outputs=[StringCodec.encode_output("answers", texts)])


class SketchModel(JobModel):
    """Drawings."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """BYTES [drawings] -> BYTES [drawings]."""
        texts = StringCodec.decode_input(payload.inputs[0])
        return self._respond(self._job.run([self._job.read(json.loads(text)) for text in texts]))


class ForecastModel(JobModel):
    """Series."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """values FP64 [series, days], first_day INT32 [series, 1] -> BYTES [series]."""
        inputs = {tensor.name: NumpyCodec.decode_input(tensor) for tensor in payload.inputs}
        return self._respond(self._job.run(to_series(inputs["values"], inputs["first_day"])))


class VideoModel(JobModel):
    """Clips."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """BYTES [clips] -> BYTES [clips]."""
        return self._respond(self._job.run([self._job.decode(c) for c in Base64Codec.decode_input(payload.inputs[0])]))


def to_series(values: np.ndarray, first_day: np.ndarray) -> list[DailySeries]:
    """[series, days] and the day after each, in days since 1970-01-01 [series, 1] -> series."""
    ends: list[date] = [EPOCH + timedelta(days=int(day)) for day in first_day.ravel()]
    return [DailySeries(end - timedelta(days=values.shape[1]), row) for end, row in zip(ends, values, strict=True)]
