"""Many requests on one stream, answered in their order, several of them at the same time."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Any, TypeVar

MAX_IN_FLIGHT = 16

Request = TypeVar("Request")
Response = TypeVar("Response")


async def answer_in_order(
    requests: AsyncIterable[Request],
    answer: Callable[[Request], Awaitable[Response]],
    write: Callable[[Response], Awaitable[None]],
) -> None:
    """Answers requests until there are no more; no more than MAX_IN_FLIGHT wait for their answer.

    Args:
        requests: the client's requests; an error that it raises is raised after the answers to those before.
        answer: answers one request; raises nothing.
        write: sends an answer.
    """
    slots = asyncio.Semaphore(MAX_IN_FLIGHT)
    answers: asyncio.Queue[asyncio.Future[Response] | None] = asyncio.Queue()
    running: set[asyncio.Future[Response]] = set()

    async def read() -> None:
        try:
            async for request in requests:
                await slots.acquire()
                task = asyncio.ensure_future(answer(request))
                running.add(task)
                answers.put_nowait(task)
        finally:
            answers.put_nowait(None)

    reader = asyncio.create_task(read())
    try:
        while (task := await answers.get()) is not None:
            await write(await task)
            running.discard(task)
            slots.release()
        await reader
    finally:
        left: list[asyncio.Future[Any]] = [reader, *running]
        for task_left in left:
            task_left.cancel()
        await asyncio.gather(*left, return_exceptions=True)
