"""What the cache did with the requests, counted over all workers."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

REPORT_KEY = "seqserve_cache"


class CacheOutcomes:
    """Counts the outcomes that answers tell ("hit", "coalesced", "miss", "bypass")."""

    def __init__(self) -> None:
        """Starts with none."""
        self.counts: Counter[str] = Counter()

    def add(self, outcome: str) -> None:
        """Counts an answer; one that tells nothing is not counted."""
        if outcome:
            self.counts[outcome] += 1

    def hand_over(self, report: dict[str, Any]) -> None:
        """Puts what was counted into a worker's report, and counts anew."""
        report[REPORT_KEY] = dict(self.counts)
        self.counts.clear()

    def take_over(self, report: Mapping[str, Any]) -> None:
        """Adds what a worker counted."""
        self.counts.update(report.get(REPORT_KEY, {}))

    def __str__(self) -> str:
        total = sum(self.counts.values())
        return ", ".join(f"{name} {count / total:.1%}" for name, count in self.counts.most_common()) or "nothing told"


CACHE_OUTCOMES = CacheOutcomes()  # of this process
