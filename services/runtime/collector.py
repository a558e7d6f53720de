"""Python's collector of cyclic garbage, in a process that answers requests."""

import gc

THRESHOLDS = (10_000, 20, 20)  # new objects, then collections of the young ones, until the next one


def calm_collector() -> None:
    """Leaves what there is alone from now on, and looks less often at what comes: modules are most of a full search."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
