"""The cache in this process, before Redis: the answers of the last moments, bounded in bytes."""

from cachetools import TTLCache

from services.gateway.caching.entry import Entry
from services.gateway.metrics import LOCAL_CACHE_BYTES, LOCAL_CACHE_ENTRIES

OVERHEAD_BYTES = 250  # of one entry's objects


class LocalCache:
    """Entries by key; the least recently used leave when it is full."""

    def __init__(self, max_bytes: int, ttl_s: float) -> None:
        """Takes the most bytes that it may hold (0 for none), and how long an entry is good."""
        self._entries: TTLCache[str, Entry] = TTLCache(max_bytes, ttl_s, getsizeof=_size_of)

    def get(self, key: str) -> Entry | None:
        """The entry under a key, or None."""
        return self._entries.get(key)

    def put(self, key: str, entry: Entry) -> None:
        """Keeps an entry, if it fits at all."""
        if _size_of(entry) <= self._entries.maxsize:
            self._entries[key] = entry
        LOCAL_CACHE_BYTES.set(self._entries.currsize)
        LOCAL_CACHE_ENTRIES.set(len(self._entries))


def _size_of(entry: Entry) -> int:
    return OVERHEAD_BYTES + len(entry.payload)
