"""Which versions of a model to load, to keep and to answer with: functions of a configuration and of numbers."""

from collections.abc import Collection, Mapping

from services.runtime.versions.model_config import STABLE, ModelConfig


def wanted_versions(config: ModelConfig, held: Collection[int]) -> set[int]:
    """Versions to serve out of those that the repository holds.

    Canary and shadow come on top of the policy: the newest of the others goes on answering beside them. So do
    versions with a label, except where the policy lists the versions one by one.
    """
    policy, held = config.policy, set(held)
    if policy.all:
        return held
    named = named_versions(config) & held
    if policy.specific:
        return named
    others = held - _only(config.canary_version) - _only(config.shadow_version)
    return named | set(sorted(others, reverse=True)[: policy.latest or 1])


def named_versions(config: ModelConfig) -> set[int]:
    """Versions that the configuration names one by one, and therefore serves whatever else there is."""
    listed = config.policy.specific or config.labels.values()
    return {*listed} | _only(config.canary_version) | _only(config.shadow_version)


def kept_versions(config: ModelConfig, wanted: Collection[int], loaded: Collection[int]) -> set[int]:
    """Loaded versions that stay loaded; all of them while nothing that is wanted is there."""
    loaded = set(loaded)
    return (set(wanted) | named_versions(config)) & loaded or loaded


def active_labels(config: ModelConfig, before: Mapping[str, int], available: Collection[int]) -> dict[str, int]:
    """Version by label: the configured one, or the one before while that is not available."""
    labels = {}
    for label, version in config.labels.items():
        for choice in (version, before.get(label)):
            if choice is not None and choice in available:
                labels[label] = choice
                break
    return labels


def default_version(config: ModelConfig, labels: Mapping[str, int], available: Collection[int]) -> int | None:
    """Version that answers where a request names none; None where there is none.

    It is the one labelled "stable", else the highest, the canary last and the shadow never.
    """
    if STABLE in labels:
        return labels[STABLE]
    answering = set(available) - _only(config.shadow_version)
    return max(answering - _only(config.canary_version) or answering, default=None)


def find_problems(
    config: ModelConfig, held: Collection[int], available: Collection[int], failures: Mapping[int, str]
) -> list[str]:
    """What keeps a configuration from being served as it says.

    Args:
        config: what should be served.
        held: versions that the repository holds.
        available: versions that are wanted, and could be loaded.
        failures: why others could not.
    """
    model = f"model '{config.name}'"
    if not held:
        return [f"{model} has no version in the repository"]

    def explain(text: str, version: int) -> str:
        return f"{text}: {failures[version]}" if version in failures else text

    problems = [
        explain(f"label '{label}' of {model} names version {version}, which is not available", version)
        for label, version in sorted(config.labels.items())
        if version not in available
    ]
    absent = sorted(named_versions(config) - set(config.labels.values()) - set(available))
    problems += [explain(f"version {version} of {model} is not available", version) for version in absent]
    if not problems and default_version(config, {}, available) is None:
        problems.append(f"{model} has no version that could answer")
    return problems


def _only(version: int) -> set[int]:
    """The canary or the shadow as a set; 0 means that there is none."""
    return {version} if version else set()
