"""Which versions are wanted, kept and answer; and which configurations are none."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqserve.model.v1 import model_service_pb2 as pb

from services.runtime.errors import InvalidInput
from services.runtime.versions.model_config import (
    Configuration,
    ModelConfig,
    Names,
    VersionPolicy,
    parse_configs,
    parse_json_configs,
)
from services.runtime.versions.policy import (
    active_labels,
    default_version,
    find_problems,
    kept_versions,
    wanted_versions,
)

numbers = st.integers(0, 9)
held = st.sets(numbers)


@st.composite
def configs(draw):
    policies = st.one_of(
        st.builds(VersionPolicy, latest=st.integers(0, 4)),
        st.builds(VersionPolicy, specific=st.lists(numbers, min_size=1, max_size=3).map(tuple)),
        st.just(VersionPolicy(all=True)),
    )
    canary = draw(numbers)
    return ModelConfig(
        name="m",
        policy=draw(policies),
        labels=draw(st.dictionaries(st.sampled_from(["stable", "canary", "blue"]), numbers)),
        canary_version=canary,
        shadow_version=draw(numbers.filter(lambda n: n != canary or n == 0)),
    )


@settings(deadline=None)  # other processes may have the cores
@given(configs(), held)
def test_wanted_versions_are_held(config, held):
    assert wanted_versions(config, held) <= held


@settings(deadline=None)
@given(configs(), held)
def test_something_is_wanted_of_whatever_could_answer(config, held):
    if held and not config.policy.specific:
        assert wanted_versions(config, held)


@settings(deadline=None)
@given(configs(), held, held)
def test_the_last_version_is_never_taken_out(config, held, loaded):
    kept = kept_versions(config, wanted_versions(config, held), loaded)
    assert kept <= loaded
    assert bool(kept) == bool(loaded)


@settings(deadline=None)
@given(configs(), held)
def test_the_default_is_available_and_no_shadow(config, available):
    labels = active_labels(config, {}, available)
    default = default_version(config, labels, available)
    assert default is None or default in available
    if default is not None and default not in labels.values():
        assert not config.shadow_version or default != config.shadow_version


@settings(deadline=None)
@given(configs())
def test_what_is_parsed_is_what_was_sent(config):
    message = pb.ModelConfig(
        name=config.name,
        policy=pb.VersionPolicy(latest=config.policy.latest, specific=config.policy.specific, all=config.policy.all),
        labels=config.labels,
        canary_version=config.canary_version,
        shadow_version=config.shadow_version,
    )
    assert parse_configs(pb.ModelConfigs(models=[message])) == [config]
    stored = Configuration.of([config]).load("other").unload("m")
    assert Configuration.model_validate_json(stored.model_dump_json()) == stored


def test_the_latest_are_counted_without_canary_and_shadow():
    config = ModelConfig(name="m", policy=VersionPolicy(latest=2), canary_version=9, shadow_version=8)
    assert wanted_versions(config, {5, 6, 7, 8, 9}) == {6, 7, 8, 9}
    assert default_version(config, {}, {6, 7, 8, 9}) == 7


def test_the_canary_answers_alone_where_there_is_no_other():
    config = ModelConfig(name="m", canary_version=2, shadow_version=3)
    assert default_version(config, {}, {2, 3}) == 2
    assert default_version(config, {}, {3}) is None


def test_a_label_brings_its_version_but_not_into_a_list_of_versions():
    assert wanted_versions(ModelConfig(name="m", labels={"old": 1}), {1, 2, 3}) == {1, 3}
    listed = ModelConfig(name="m", labels={"old": 1}, policy=VersionPolicy(specific=(3,)))
    assert wanted_versions(listed, {1, 2, 3}) == {3}
    assert find_problems(listed, {1, 2, 3}, {3}, {}) == [
        "label 'old' of model 'm' names version 1, which is not available"
    ]


def test_a_label_stays_where_it_is_until_its_version_is_available():
    config = ModelConfig(name="m", labels={"stable": 2, "new": 3})
    assert active_labels(config, {"stable": 1}, {1}) == {"stable": 1}
    assert active_labels(config, {"stable": 1}, {1, 2}) == {"stable": 2}


def test_version_zero_is_a_version_and_not_a_canary():
    config = ModelConfig(name="m", policy=VersionPolicy(latest=2))
    assert wanted_versions(config, {0, 1}) == {0, 1}
    assert default_version(config, {}, {0}) == 0


@pytest.mark.parametrize(
    ("fields", "field", "text"),
    [
        ({}, "models[0].name", "must be one folder name"),
        ({"name": "../secret"}, "models[0].name", "got '../secret'"),
        ({"name": ".hidden"}, "models[0].name", "does not begin with '.'"),
        ({"name": "a\\b"}, "models[0].name", "folder name"),
        ({"name": "a\0b"}, "models[0].name", "folder name"),
        ({"name": "x" * 256}, "models[0].name", "1 to 255"),
        ({"name": "m", "path": "x\0"}, "models[0].path", "printable"),
        ({"name": "m", "canary_share": 1.5, "canary_version": 1}, "models[0].canary_share", "less than or equal to 1"),
        ({"name": "m", "shadow_share": float("nan")}, "models[0].shadow_share", "finite"),
        ({"name": "m", "canary_share": 0.5}, "models[0]", "canary_share 0.5 without canary_version"),
        ({"name": "m", "canary_version": 2, "shadow_version": 2}, "models[0]", "version 2 as canary and as shadow"),
        ({"name": "m", "canary_version": -2}, "models[0].canary_version", "greater than or equal to 0, got '-2'"),
        ({"name": "m", "labels": {"stable": -1}}, "models[0].labels.stable", "greater than or equal to 0"),
        ({"name": "m", "labels": {"": 1}}, "models[0].labels", "at least 1 character"),
        ({"name": "m", "policy": {"latest": -1}}, "models[0].policy.latest", "greater than or equal to 0"),
        ({"name": "m", "policy": {"latest": 1, "all": True}}, "models[0].policy", "more than one of latest"),
        ({"name": "m", "policy": {"specific": [3, -3]}}, "models[0].policy.specific[1]", "got '-3'"),
    ],
)
def test_a_wrong_configuration_names_the_field(fields, field, text):
    with pytest.raises(InvalidInput) as caught:
        parse_configs(pb.ModelConfigs(models=[pb.ModelConfig(**fields)]))
    assert caught.value.field.startswith(field)
    assert text in caught.value.message


def test_a_model_that_is_configured_twice_is_refused():
    with pytest.raises(InvalidInput, match=r"models\[1\].name: 'm' is given twice"):
        parse_configs(pb.ModelConfigs(models=[pb.ModelConfig(name="m"), pb.ModelConfig(name="m")]))


def test_settings_give_protobuf_json():
    given_models = [{"name": "m", "policy": {"specific": [1, "2"]}, "canaryVersion": 2, "canary_share": 0.1}]
    expected = ModelConfig(name="m", policy=VersionPolicy(specific=(1, 2)), canary_version=2, canary_share=0.1)
    assert parse_json_configs(given_models) == [expected]
    with pytest.raises(InvalidInput, match="nmae"):
        parse_json_configs([{"nmae": "m"}])


def test_names_never_lead_out_of_the_root():
    assert "sketch" in Names.exactly("sketch")
    assert "other" not in Names.exactly("sketch")
    assert "other" in Names.all_but("sketch")
    for name in ("sketch", "", ".git", "a/b", "..", "a\\b", "a\nb"):
        assert name not in Names.all_but("sketch")
