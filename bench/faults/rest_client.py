"""A REST client that knows several gateways and tries again as `services.client` does."""

import asyncio
from collections.abc import Sequence
from typing import Self

import grpc
import httpx

from services.client.errors import CallError, DeadlineExceeded, ResourceExhausted, ServerFailure, Unavailable
from services.client.retry import Attempts, RetryBudget, RetryPolicy
from services.runtime.rpc import TIMEOUT_KEY

CONNECT_TIMEOUT_S = 1.0
PATH = "/v1/sketches:classify"


class RestClient:
    """Asks one gateway, and from then on the next one where that fails."""

    def __init__(self, urls: Sequence[str], timeout_s: float) -> None:
        """Takes the gateways' URLs in the order of preference, and the time that a call may take with its retries."""
        self._urls, self._timeout_s, self._policy = urls, timeout_s, RetryPolicy()
        self._budget = RetryBudget(self._policy)
        self._at = 0  # it stays with a gateway that answers, as a gRPC channel does
        self._http = httpx.AsyncClient(timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def classify_sketch(self, body: bytes) -> str:
        """The version that classified a drawing.

        Raises:
            CallError: no gateway answered, or one refused, within the time.
        """
        attempts = Attempts(self._policy, self._budget, self._timeout_s)
        while True:
            asked = self._at
            try:
                version = await self._ask(self._urls[asked], body, attempts.remaining_s())
            except CallError as error:
                if self._at == asked:  # else another call has moved on already
                    self._at = (asked + 1) % len(self._urls)
                if (pause_s := attempts.pause_s(error)) is None:
                    raise
                await asyncio.sleep(pause_s)
            else:
                self._budget.earn()
                return version

    async def _ask(self, url: str, body: bytes, remaining_s: float) -> str:
        headers = {"content-type": "application/json", TIMEOUT_KEY: str(int(remaining_s * 1000))}
        try:
            async with asyncio.timeout(remaining_s):
                answer = await self._http.post(url + PATH, content=body, headers=headers)
        except TimeoutError:
            raise DeadlineExceeded(grpc.StatusCode.DEADLINE_EXCEEDED, "no answer in time") from None
        except httpx.TransportError as error:
            raise Unavailable(grpc.StatusCode.UNAVAILABLE, type(error).__name__) from None
        if answer.is_success:
            return str(answer.json()["model"]["version"])
        raise _to_error(answer)


def _to_error(answer: httpx.Response) -> CallError:
    told = answer.headers.get("retry-after", "")
    retry_after_s = float(told) if told.isdigit() else None
    text = answer.text[:200]
    if answer.status_code == 429:
        return ResourceExhausted(grpc.StatusCode.RESOURCE_EXHAUSTED, text, retry_after_s=retry_after_s)
    if answer.status_code == 503:
        return Unavailable(grpc.StatusCode.UNAVAILABLE, text, retry_after_s=retry_after_s)
    if answer.status_code == 504:
        return DeadlineExceeded(grpc.StatusCode.DEADLINE_EXCEEDED, text)
    return ServerFailure(grpc.StatusCode.INTERNAL, f"{answer.status_code}: {text}")
