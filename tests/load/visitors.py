"""What the users of every door share: their pace, their payloads, and how a call is measured."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import grpc
from locust import User

from services.client.channel import ClientOptions, Tls
from services.client.errors import CallError
from services.client.retry import RetryPolicy
from tests.load.clips import Clips
from tests.load.drawings import Drawings
from tests.load.mix import Mix, Pace
from tests.load.naming import Failed, name_grpc_error
from tests.load.outcomes import CACHE_OUTCOMES
from tests.load.series import SeriesMaker

MAX_MESSAGE_BYTES = 32 * 2**20
SKETCH, FORECAST, VIDEO, TENSORS = "sketch", "forecast", "video", "tensors"  # --tags, --exclude-tags


class Visitor(User):
    """Sends requests at its pace; the kinds are its tasks."""

    abstract = True

    def __init__(self, environment: Any) -> None:
        """Takes its knobs from the command line."""
        super().__init__(environment)
        self.options = environment.parsed_options
        self._pace = Pace(self.options.pace, Random(SystemRandom().getrandbits(64)))
        self.drawings, self.series, self.clips = open_mixes(self.options)

    def wait_time(self) -> float:
        """Seconds until its next request."""
        return self._pace.wait_s(time.monotonic())

    @contextmanager
    def measure(self, kind: str, name: str) -> Iterator[None]:
        """Measures a gRPC call and tells Locust how long it took and how it failed, by its status.

        Args:
            kind: protocol, as in the report.
            name: method, as in the report.
        """
        started_s = time.perf_counter()
        failed: Failed | None = None
        try:
            yield
        except (CallError, grpc.RpcError) as error:
            failed = Failed(name_grpc_error(error))
        except Failed as error:
            failed = error
        self.environment.events.request.fire(
            request_type=kind,
            name=name,
            response_time=(time.perf_counter() - started_s) * 1e3,
            response_length=0,
            exception=failed,
            context={},
        )


def expect(answer: Any, cache: str = "") -> None:
    """Counts what the cache did, and that an answer is one.

    Raises:
        Failed: it is empty.
    """
    CACHE_OUTCOMES.add(cache)
    if not len(answer):
        raise Failed("EMPTY_ANSWER")


def open_mixes(options: Any) -> tuple[Mix[Any], Mix[Any], Mix[Any]]:
    """Drawings, series and clips of this process, which all of its users draw from."""
    return _open_mixes(options.data, options.repeat_share, options.repeat_pool)


@cache
def _open_mixes(data: str, repeat_share: float, pool_size: int) -> tuple[Mix[Any], Mix[Any], Mix[Any]]:
    seed = SystemRandom().getrandbits(64)  # workers must not send the same
    makers = Drawings(Path(data)).make, SeriesMaker(Path(data)).make, Clips().make
    drawings, series, clips = (Mix(make, repeat_share, pool_size, seed + i) for i, make in enumerate(makers))
    return drawings, series, clips


def make_client_options(options: Any) -> ClientOptions:
    """Options of the gRPC clients: each has a connection of its own, and tries nothing twice: failures must count."""
    tls = Tls(root_certificates=Path(options.tls_ca).read_bytes()) if options.tls_ca else None
    return ClientOptions(
        timeout_s=options.request_timeout_s,
        stream_timeout_s=options.request_timeout_s,
        retry=RetryPolicy(max_attempts=1),
        tls=tls,
        api_key=options.api_key,
        max_message_bytes=MAX_MESSAGE_BYTES,
        shares_connection=False,
    )
