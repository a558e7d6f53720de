"""What is served: the configuration of one model, and that of an application. Checked here, wherever it is from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError, model_validator
from seqserve.model.v1 import model_service_pb2 as model_pb

from services.runtime.errors import InvalidInput

STABLE = "stable"  # label of the version that answers where a request names none
MAX_NAME_LENGTH = 255
MAX_PATH_LENGTH = 4096

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


def is_model_name(name: str) -> bool:
    """The name can be that of a folder, and leads nowhere else."""
    is_folder = not name.startswith(".") and "/" not in name and "\\" not in name and name.isprintable()
    return is_folder and 0 < len(name) <= MAX_NAME_LENGTH


def _check_name(name: str) -> str:
    if not is_model_name(name):
        raise ValueError(f"must be one folder name of 1 to {MAX_NAME_LENGTH} characters that does not begin with '.'")
    return name


def _check_path(path: str) -> str:
    if len(path) > MAX_PATH_LENGTH or not path.isprintable():
        raise ValueError(f"must be at most {MAX_PATH_LENGTH} printable characters")
    return path


class VersionPolicy(BaseModel):
    """Which versions are served: one of the three, or the highest alone where nothing is set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    latest: NonNegativeInt = 0
    specific: tuple[NonNegativeInt, ...] = ()
    all: bool = False

    @model_validator(mode="after")
    def _check(self) -> "VersionPolicy":
        if bool(self.latest) + bool(self.specific) + self.all > 1:
            raise ValueError("sets more than one of latest, specific and all")
        return self


class ModelConfig(BaseModel):
    """What is served of one model; the fields are those of seqserve.model.v1.ModelConfig."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, AfterValidator(_check_name)]
    path: Annotated[str, AfterValidator(_check_path)] = ""
    policy: VersionPolicy = VersionPolicy()
    labels: dict[Annotated[str, Field(min_length=1, max_length=64)], NonNegativeInt] = Field(default_factory=dict)
    canary_version: NonNegativeInt = 0
    canary_share: Share = 0.0
    shadow_version: NonNegativeInt = 0
    shadow_share: Share = 0.0

    @model_validator(mode="after")
    def _check(self) -> "ModelConfig":
        for role, version, share in [
            ("canary", self.canary_version, self.canary_share),
            ("shadow", self.shadow_version, self.shadow_share),
        ]:
            if share and not version:
                raise ValueError(f"sets {role}_share {share} without {role}_version")
        if self.canary_version and self.canary_version == self.shadow_version:
            raise ValueError(f"names version {self.canary_version} as canary and as shadow")
        return self


@dataclass(frozen=True)
class Names:
    """Which models of a root an application serves.

    Attributes:
        names: model names.
        is_complement: all but these.
    """

    names: frozenset[str]
    is_complement: bool = False

    @classmethod
    def exactly(cls, *names: str) -> "Names":
        """These models, which must be there."""
        return cls(frozenset(names))

    @classmethod
    def all_but(cls, *names: str) -> "Names":
        """Every model that is there, but for these."""
        return cls(frozenset(names), is_complement=True)

    @property
    def required(self) -> frozenset[str]:
        """Models that must be there."""
        return frozenset() if self.is_complement else self.names

    def __contains__(self, name: str) -> bool:
        return is_model_name(name) and (name in self.names) != self.is_complement


class Configuration(BaseModel):
    """What one application serves.

    Attributes:
        models: what is configured, by model name.
        is_exclusive: models that are not configured are not served; else they are, with the defaults.
        unloaded: models that somebody unloaded by name.
        loads: how often somebody asked to load a model, by name; a higher number means: load it again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: dict[str, ModelConfig] = Field(default_factory=dict)
    is_exclusive: bool = False
    unloaded: frozenset[str] = frozenset()
    loads: dict[str, int] = Field(default_factory=dict)

    @classmethod
    def of(cls, configs: Iterable[ModelConfig]) -> "Configuration":
        """The defaults, but for these models."""
        return cls(models={c.name: c for c in configs})

    def config_of(self, name: str) -> ModelConfig:
        """What is served of a model, if it is served."""
        return self.models.get(name) or ModelConfig(name=name)

    def replace(self, configs: Iterable[ModelConfig]) -> "Configuration":
        """Serves these models alone."""
        return Configuration(models={c.name: c for c in configs}, is_exclusive=True, loads=self.loads)

    def update(self, config: ModelConfig) -> "Configuration":
        """Serves this model as it says, and the others as before."""
        return self.model_copy(
            update={"models": self.models | {config.name: config}, "unloaded": self.unloaded - {config.name}}
        )

    def load(self, name: str) -> "Configuration":
        """Serves this model too, loaded once more."""
        return Configuration(
            models=self.models | {name: self.config_of(name)},
            is_exclusive=self.is_exclusive,
            unloaded=self.unloaded - {name},
            loads=self.loads | {name: self.loads.get(name, 0) + 1},
        )

    def unload(self, name: str) -> "Configuration":
        """Serves all but this model, until it is loaded or configured again."""
        return self.model_copy(update={"unloaded": self.unloaded | {name}})


def parse_config(message: model_pb.ModelConfig) -> ModelConfig:
    """Reads one model's configuration.

    Raises:
        InvalidInput: names the field that is wrong ("update.canary_share").
    """
    return _parse_config(message, "update")


def parse_configs(message: model_pb.ModelConfigs) -> list[ModelConfig]:
    """Reads configurations as they come over the wire.

    Raises:
        InvalidInput: names the field that is wrong ("models[0].canary_share").
    """
    configs: dict[str, ModelConfig] = {}
    for i, model in enumerate(message.models):
        config = _parse_config(model, f"models[{i}]")
        if config.name in configs:
            raise InvalidInput(f"'{config.name}' is given twice", f"models[{i}].name")
        configs[config.name] = config
    return list(configs.values())


def parse_json_configs(models: Sequence[dict[str, Any]]) -> list[ModelConfig]:
    """Reads configurations as settings give them: protobuf JSON of seqserve.model.v1.ModelConfig.

    Raises:
        InvalidInput: names the field that is wrong.
    """
    try:
        return parse_configs(ParseDict({"models": list(models)}, model_pb.ModelConfigs()))
    except ParseError as error:
        raise InvalidInput(str(error), "models") from error


def _parse_config(message: model_pb.ModelConfig, field: str) -> ModelConfig:
    given: dict[str, Any] = {"name": "", **MessageToDict(message, preserving_proto_field_name=True)}
    try:
        return ModelConfig.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
        text = first["msg"].removeprefix("Value error, ")
        got = "" if isinstance(first["input"], dict) else f", got {str(first['input'])[:64]!r}"
        raise InvalidInput(f"{text}{got}", field + path) from error
