"""One signature of a model: its graph, the shapes it runs at, and what it accepts."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from seqserve.model.v1 import model_service_pb2 as model_pb

from services.runtime.errors import InvalidInput
from services.runtime.execution.lattice import Cell, Lattice, Row, pad_rows, unpad_outputs
from services.runtime.execution.saved_model import Function, Run, TensorSpec
from services.runtime.tensors import STRING, Arrays


class NotRowwise(Exception):
    """An output does not have one entry per row, so that rows must not share a batch."""


@dataclass
class Signature:
    """One signature, ready to run.

    Attributes:
        function: the graph.
        lattice: shapes that it runs at; None where rows must not be batched.
        compiled: cells that run as XLA code.
    """

    function: Function
    lattice: Lattice | None
    compiled: dict[Cell, Run] = field(default_factory=dict)

    @property
    def timed_outputs(self) -> set[str]:
        """Outputs that have one value per time step."""
        if not self.lattice or not self.lattice.padded_input:
            return set()
        specs = self.function.outputs.items()
        return {n for n, s in specs if s.shape is not None and len(s.shape) > 1 and s.shape[1] is None}

    def execute(self, cell: Cell, rows: Sequence[Row]) -> list[Row]:
        """Runs one batch and returns the outputs of each row, without padding. Blocks."""
        assert self.lattice is not None
        run = self.compiled.get(cell, self.function.run)
        outputs = run(pad_rows(rows, cell, self.lattice))
        if any(array.ndim == 0 or len(array) != cell.batch for array in outputs.values()):
            raise NotRowwise
        lengths = [self.lattice.length_of(row) for row in rows]
        timed = self.timed_outputs
        return [unpad_outputs(outputs, i, length, cell, timed) for i, length in enumerate(lengths)]


def check_inputs(inputs: Arrays, function: Function) -> dict[str, np.ndarray]:
    """The inputs with defaults filled in.

    Raises:
        InvalidInput: names which input is missing, unknown, or of another type or shape.
    """
    if unknown := sorted(set(inputs) - set(function.inputs)):
        raise InvalidInput(f"the model has no such input; {', '.join(sorted(function.inputs))}", f"inputs.{unknown[0]}")
    complete = {}
    for name, spec in function.inputs.items():
        array = inputs.get(name, function.defaults.get(name))
        if array is None:
            raise InvalidInput("missing", f"inputs.{name}")
        dtype = STRING if array.dtype == object else array.dtype.name
        if dtype != spec.dtype:
            raise InvalidInput(f"type {dtype}; the model reads {spec.dtype}", f"inputs.{name}")
        if not _fits(array.shape, spec):
            shown = "[" + ", ".join("?" if d is None else str(d) for d in spec.shape or ()) + "]"
            raise InvalidInput(f"shape {list(array.shape)}; the model reads {shown}", f"inputs.{name}")
        complete[name] = array
    return complete


def _fits(shape: tuple[int, ...], spec: TensorSpec) -> bool:
    if spec.shape is None:
        return True
    return len(shape) == len(spec.shape) and all(
        known in (None, size) for size, known in zip(shape, spec.shape, strict=True)
    )


def check_outputs(outputs: Sequence[str], function: Function) -> Sequence[str]:
    """The outputs to return: those that were asked for, or all.

    Raises:
        InvalidInput: the model has no such output.
    """
    for i, name in enumerate(outputs):
        if name not in function.outputs:
            known = ", ".join(sorted(function.outputs))
            raise InvalidInput(f"the model has no output '{name[:64]}'; {known}", f"outputs[{i}]")
    return outputs or sorted(function.outputs)


def describe_signature(signature: Signature) -> model_pb.Signature:
    """What a client may know of it."""
    function, lattice = signature.function, signature.lattice
    return model_pb.Signature(
        inputs={n: _describe_spec(s) for n, s in function.inputs.items()},
        outputs={n: _describe_spec(s) for n, s in function.outputs.items()},
        method_name=function.method_name,
        optional_inputs=sorted(function.defaults),
        definition=function.definition,
        lengths_input=lattice.lengths_input if lattice else "",
        padded_input=lattice.padded_input if lattice else "",
    )


def _describe_spec(spec: TensorSpec) -> model_pb.TensorSpec:
    if spec.shape is None:
        return model_pb.TensorSpec(dtype=spec.dtype, unknown_rank=True)
    return model_pb.TensorSpec(dtype=spec.dtype, shape=[-1 if d is None else d for d in spec.shape])
