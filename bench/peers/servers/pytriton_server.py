"""Triton with PyTriton and its dynamic batcher. python pytriton_server.py HTTP_PORT GRPC_PORT METRICS_PORT

The tensors are those of the MLServer runtime; a request is a batch of them, so the batcher can join requests.
"""

import json
import sys
from datetime import timedelta
from typing import Any

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

from bench.peers.servers.job import JOBS, Answer
from services.forecast.transforms import EPOCH, DailySeries

BATCHING = ModelConfig(max_batch_size=64, batcher=DynamicBatcher(max_queue_delay_microseconds=2000))
ANSWERS = [Tensor(name="answers", dtype=bytes, shape=(1,))]


def _respond(answers: list[Answer]) -> dict[str, np.ndarray]:
    return {"answers": np.array([[json.dumps(answer).encode()] for answer in answers], dtype=object)}


def _bind_sketch(triton: Triton, job: Any) -> None:
    @batch
    def infer(drawings: np.ndarray) -> dict[str, np.ndarray]:
        return _respond(job.run([job.read(json.loads(text)) for text in drawings.ravel()]))

    inputs = [Tensor(name="drawings", dtype=bytes, shape=(1,))]
    triton.bind("sketch", infer, inputs, ANSWERS, config=BATCHING)


def _bind_forecast(triton: Triton, job: Any) -> None:
    @batch
    def infer(values: np.ndarray, first_day: np.ndarray) -> dict[str, np.ndarray]:
        ends = [EPOCH + timedelta(days=int(day)) for day in first_day.ravel()]
        start = timedelta(days=values.shape[1])
        return _respond(job.run([DailySeries(end - start, row) for end, row in zip(ends, values, strict=True)]))

    inputs = [
        Tensor(name="values", dtype=np.float64, shape=(-1,)),
        Tensor(name="first_day", dtype=np.int32, shape=(1,)),
    ]
    triton.bind("forecast", infer, inputs, ANSWERS, config=BATCHING)


def _bind_video(triton: Triton, job: Any) -> None:
    @batch
    def infer(clips: np.ndarray) -> dict[str, np.ndarray]:
        return _respond(job.run([job.decode(content) for content in clips.ravel()]))

    triton.bind("video", infer, [Tensor(name="clips", dtype=bytes, shape=(1,))], ANSWERS, config=BATCHING)


if __name__ == "__main__":
    http_port, grpc_port, metrics_port = map(int, sys.argv[1:4])
    ports = {"http_port": http_port, "grpc_port": grpc_port, "metrics_port": metrics_port}
    with Triton(config=TritonConfig(http_address="127.0.0.1", grpc_address="127.0.0.1", **ports)) as server:
        _bind_sketch(server, JOBS["sketch"]())
        _bind_forecast(server, JOBS["forecast"]())
        _bind_video(server, JOBS["video"]())
        server.serve()
