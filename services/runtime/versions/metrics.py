"""The metrics of the model repository."""

from services.runtime.metrics import LOAD_SECONDS, Metric

VERSION_LOADS = Metric(
    "seqserve_version_loads_total",
    "Versions that were loaded (outcome=loaded) or refused (outcome=failed).",
    ("model", "version", "outcome"),
)
LOAD_TIME = Metric(
    "seqserve_version_load_duration_seconds",
    "Time to fetch, check, load and warm one version.",
    ("model",),
    LOAD_SECONDS,
)
VERSIONS_AVAILABLE = Metric("seqserve_versions_available", "Versions that answer requests.", ("model",))
READ_FAILURES = Metric(
    "seqserve_repository_read_failures_total",
    "Times that the files of a model, the list of models or the stored configuration could not be read.",
    ("subject",),
)
SHADOW_COMPARISONS = Metric(
    "seqserve_shadow_comparisons_total",
    "Answers that the shadow version computed too, by whether they agree (yes, no).",
    ("model", "agree"),
)
SHADOW_SKIPS = Metric(
    "seqserve_shadow_skips_total",
    "Answers that were due for a comparison and had none (reason=full, failed).",
    ("model", "reason"),
)
SHADOW_DIFFERENCE = Metric(
    "seqserve_shadow_max_abs_difference",
    "Largest absolute difference between an output and the shadow's.",
    ("model", "output"),
    (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0),
)
