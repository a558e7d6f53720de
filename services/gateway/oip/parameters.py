"""The protocol's parameters: which ones count, which ones change nothing, and which ones are refused.

Counts: `timeout`, `classification`, `binary_data`, `binary_data_output`, `triton_enable_empty_final_response`.
Changes nothing: `priority` (every request has the same), a sequence id of 0, and names that the protocol does not
reserve. Refused: a sequence id (models keep no state between requests) and shared memory, as ignoring them would
change what the answer means; other names that begin with `triton_`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from seqserve.oip.v1 import inference_pb2 as inference_pb

from services.runtime.errors import InvalidInput

Parameters = Mapping[str, object]

FINAL_RESPONSE = "triton_enable_empty_final_response"
SHARED_MEMORY = "shared_memory_"
MAX_SHOWN_CHARS = 64


@dataclass(frozen=True)
class RequestParameters:
    """What a request's parameters ask for.

    Attributes:
        timeout_s: longest time that it may take; None if it does not say.
        wants_final_flag: streamed responses say whether they are the last one to their request.
        binary_output: outputs are binary where they do not say otherwise (REST).
    """

    timeout_s: float | None = None
    wants_final_flag: bool = False
    binary_output: bool = False


@dataclass(frozen=True)
class RequestedOutput:
    """One output that a request asks for.

    Attributes:
        name: output name.
        class_count: number of top classes to return as text; 0 returns the tensor itself.
        binary: it is returned as binary data (REST); None where the output does not say.
    """

    name: str
    class_count: int = 0
    binary: bool | None = None


def to_values(parameters: Mapping[str, inference_pb.InferParameter]) -> dict[str, object]:
    """Values of a message's parameters; None for one that is not set."""
    values: dict[str, object] = {}
    for name, parameter in parameters.items():
        choice = parameter.WhichOneof("parameter_choice")
        values[name] = getattr(parameter, choice) if choice else None
    return values


def read_request_parameters(parameters: Parameters) -> RequestParameters:
    """What a request's parameters ask for.

    Raises:
        InvalidInput: one is refused, or has a wrong value.
    """
    if parameters.get("sequence_id") not in (None, 0, ""):
        raise _wrong("sequence_id", parameters["sequence_id"], "models keep no state between requests; leave it out")
    for name in ("sequence_start", "sequence_end"):
        if read_bool(parameters, name):
            raise _wrong(name, True, "models keep no state between requests; leave it out")
    for name in parameters:
        if name.startswith("triton_") and name != FINAL_RESPONSE:
            raise InvalidInput("a reserved name that this server does not know", f"parameters.{name[:MAX_SHOWN_CHARS]}")
    read_count(parameters, "priority")
    timeout_us = read_count(parameters, "timeout")
    return RequestParameters(
        timeout_s=timeout_us / 1e6 if timeout_us else None,
        wants_final_flag=bool(read_bool(parameters, FINAL_RESPONSE)),
        binary_output=bool(read_bool(parameters, "binary_data_output")),
    )


def read_output(name: str, parameters: Parameters) -> RequestedOutput:
    """A requested output.

    Raises:
        InvalidInput: a parameter is refused, or has a wrong value.
    """
    field = f"outputs.{name[:MAX_SHOWN_CHARS]}.parameters"
    refuse_shared_memory(parameters, field)
    return RequestedOutput(
        name, read_count(parameters, "classification", field), read_bool(parameters, "binary_data", field)
    )


def refuse_shared_memory(parameters: Parameters, field: str) -> None:
    """Refuses a tensor that is not in the message.

    Raises:
        InvalidInput: it is in shared memory.
    """
    for name in parameters:
        if name.startswith(SHARED_MEMORY):
            raise InvalidInput("shared memory is not supported; send tensors in the message", f"{field}.{name}")


def read_count(parameters: Parameters, name: str, field: str = "parameters") -> int:
    """A whole number that is not negative; 0 where it is left out.

    Raises:
        InvalidInput: it is something else.
    """
    value = parameters.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _wrong(name, value, "a whole number, 0 or more", field)
    return value


def read_bool(parameters: Parameters, name: str, field: str = "parameters") -> bool | None:
    """A truth value; None where it is left out.

    Raises:
        InvalidInput: it is something else.
    """
    value = parameters.get(name)
    if name in parameters and not isinstance(value, bool):
        raise _wrong(name, value, "true or false", field)
    return bool(value) if name in parameters else None


def _wrong(name: str, value: object, limit: str, field: str = "parameters") -> InvalidInput:
    shown = str(value)[:MAX_SHOWN_CHARS] if not isinstance(value, bool) else str(value).lower()
    return InvalidInput(f"{shown}; {limit}", f"{field}.{name}")
