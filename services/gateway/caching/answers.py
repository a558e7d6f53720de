"""Finds the answers to the items of a request: here, in Redis, with somebody who computes them now, or by computing."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from services.gateway.caching.entry import Entry, Found
from services.gateway.caching.flight import Flight, FlightEnded
from services.gateway.caching.local import LocalCache
from services.gateway.caching.shared import Claim, SharedCache
from services.gateway.metrics import CACHE_TAKEOVERS
from services.runtime.errors import DeadlineExceeded, ServiceError

FIRST_PAUSE_S, LAST_PAUSE_S, PAUSE_GROWTH = 0.002, 0.03, 1.5
Compute = Callable[[Sequence[str]], Awaitable[Sequence[Entry]]]


class AnswerCache:
    """Single flight per key, in this process and, by leases in Redis, across gateways."""

    def __init__(self, local: LocalCache, shared: SharedCache | None) -> None:
        """Takes the cache of this process and the one that gateways share."""
        self.local, self._shared = local, shared
        self._flights: dict[str, Flight] = {}

    async def find(self, keys: Sequence[str], version: str, compute: Compute) -> dict[str, Found]:
        """The answers under some keys.

        Args:
            keys: what is asked for; equal keys are one.
            version: version whose answers are kept; those of another one are returned, and forgotten.
            compute: asks the service for some of the keys, in one call.

        Raises:
            ServiceError: what the service answered.
        """
        found: dict[str, Found] = {}
        for key in keys:
            if key not in found and (entry := self.local.get(key)):
                found[key] = Found(entry, "local")
        while missing := [key for key in dict.fromkeys(keys) if key not in found]:
            found |= await self._fly(missing, version, compute)
        return found

    def keep(self, entries: Mapping[str, Entry]) -> None:
        """Keeps answers that were computed afresh."""
        for key, entry in entries.items():
            self.local.put(key, entry)
        if self._shared:
            self._shared.keep(entries)

    async def close(self) -> None:
        """Closes the connections, after what is still being written."""
        if self._shared:
            await self._shared.close()

    async def _fly(self, missing: Sequence[str], version: str, compute: Compute) -> dict[str, Found]:
        """Waits for every key, and leads where nobody does; what a failed leader leaves is missing from the answer."""
        led = [key for key in missing if key not in self._flights]
        flights = {key: self._flights[key] for key in missing if key in self._flights}
        if led:
            own = Flight(led, self._forget)
            flights |= dict.fromkeys(led, own)
            self._flights |= dict.fromkeys(led, own)
            own.start(self._lead(own, version, compute))
        if len(missing) == 1:
            return await self._wait(missing[0], flights[missing[0]], is_own=bool(led), is_alone=True)
        async with asyncio.TaskGroup() as group:
            waits = [
                group.create_task(_catch(self._wait(key, flights[key], is_own=key in led, is_alone=False)))
                for key in missing
            ]
        results = [wait.result() for wait in waits]
        if error := next((r for r in results if isinstance(r, Exception)), None):
            raise error
        return {key: found for part in results if isinstance(part, dict) for key, found in part.items()}

    async def _wait(self, key: str, flight: Flight, *, is_own: bool, is_alone: bool) -> dict[str, Found]:
        """The key's answer; nothing where we have to look again, because of what happened to somebody else's call."""
        try:
            found = await flight.wait(key)
        except FlightEnded:
            return {}
        except DeadlineExceeded:
            if is_own:
                raise
            return {}  # theirs was sooner than ours
        except ServiceError:
            if is_own or (is_alone and len(flight.keys) == 1):
                raise
            return {}  # it may name a field of their request, or be about another item of it
        if not is_own and found.source == "miss":
            found = Found(found.entry, "coalesced")
        return {key: found}

    def _forget(self, flight: Flight) -> None:
        for key in flight.keys:
            if self._flights.get(key) is flight:
                del self._flights[key]

    async def _lead(self, flight: Flight, version: str, compute: Compute) -> None:
        pause_s = FIRST_PAUSE_S
        pending, awaited = flight.keys, set[str]()
        while pending:
            claims = await self._shared.claim(pending) if self._shared else [Claim.OURS] * len(pending)
            for key, claim in zip(pending, claims, strict=True):
                if isinstance(claim, Entry):
                    self.local.put(key, claim)
                    flight.land(key, Found(claim, "coalesced" if key in awaited else "redis"))
            ours = [key for key, claim in zip(pending, claims, strict=True) if claim is Claim.OURS]
            pending = [key for key, claim in zip(pending, claims, strict=True) if claim is Claim.TAKEN]
            if ours:
                CACHE_TAKEOVERS.inc(len(awaited.intersection(ours)))
                await self._compute(flight, ours, version, compute)
            elif pending:
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * PAUSE_GROWTH, LAST_PAUSE_S)
            awaited.update(pending)

    async def _compute(self, flight: Flight, keys: Sequence[str], version: str, compute: Compute) -> None:
        kept: dict[str, Entry] = {}
        if self._shared:
            self._shared.hold(keys)
        try:
            for key, entry in zip(keys, await compute(keys), strict=True):
                if entry.version == version:
                    kept[key] = entry
                    self.local.put(key, entry)
                flight.land(key, Found(entry, "miss"))
        finally:
            if self._shared and kept:
                self._shared.keep(kept)
            if self._shared and len(kept) < len(keys):
                self._shared.release([key for key in keys if key not in kept])


async def _catch(work: Awaitable[dict[str, Found]]) -> dict[str, Found] | ServiceError:
    """A task group would cancel the other waits at the first error."""
    try:
        return await work
    except ServiceError as error:
        return error
