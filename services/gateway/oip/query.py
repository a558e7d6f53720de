"""What a client asks a model, whichever way it came in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from seqserve.model.v1.model_service_pb2 import Tensor

from services.gateway.oip.datatypes import Datatype
from services.gateway.oip.parameters import RequestedOutput, RequestParameters


@dataclass(frozen=True)
class Input:
    """One input, not yet decoded: what the model does not take is refused before that work.

    Attributes:
        name: input name.
        datatype: element type.
        shape: size of each dimension, as it was sent.
        decode: makes the tensor, or raises InvalidInput where the data does not fill the shape.
    """

    name: str
    datatype: Datatype
    shape: Sequence[int]
    decode: Callable[[], Tensor]


@dataclass(frozen=True)
class Query:
    """One call of a model.

    Attributes:
        model: model name.
        version: version number as text; empty leaves the choice to the server.
        inputs: inputs, in any order.
        outputs: outputs to return, in this order; empty means all.
        parameters: what the request's parameters ask for.
    """

    model: str
    version: str
    inputs: Sequence[Input]
    outputs: Sequence[RequestedOutput]
    parameters: RequestParameters
