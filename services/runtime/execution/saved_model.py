"""TensorFlow SavedModels as functions of arrays. The only module of the services that imports TensorFlow, and late."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from services.runtime.errors import InvalidInput
from services.runtime.tensors import STRING, Arrays

Run = Callable[[Arrays], dict[str, np.ndarray]]
NODE = re.compile(r"\s*\[\[.*?\]\]|\s*\{\{.*?\}\}", re.DOTALL)  # where in the graph: nothing for clients


@dataclass(frozen=True)
class TensorSpec:
    """Type and shape of one tensor.

    Attributes:
        dtype: NumPy name, or "string".
        shape: None for a dimension that varies; the whole is None where nothing is known.
    """

    dtype: str
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True)
class Function:
    """One signature of a loaded SavedModel.

    Attributes:
        inputs: what it reads, by name.
        outputs: what it returns, by name.
        definition: the serialized tensorflow.SignatureDef.
        method_name: what it is for ("tensorflow/serving/predict").
        defaults: values of the inputs that may be left out.
        run: named arrays -> named arrays. Blocks. Raises InvalidInput where the graph refuses its input.
        compile: (input specs with static shapes, called when traced) -> the same, compiled by XLA.
    """

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    definition: bytes
    method_name: str
    defaults: Arrays
    run: Run
    compile: Callable[[Mapping[str, TensorSpec], Callable[[], None]], Run]


def load_functions(folder: Path) -> dict[str, Function]:
    """Loads every signature of a SavedModel, by name.

    Raises:
        ValueError, OSError: there is no SavedModel, or it cannot be read.
    """
    import tensorflow as tf
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    loaded = tf.saved_model.load(str(folder), tags="serve")
    graph = SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs[0]
    return {
        name: _make_function(loaded, concrete, graph.signature_def[name])
        for name, concrete in loaded.signatures.items()
    }


def configure_tensorflow(intra_op_threads: int, inter_op_threads: int) -> None:
    """Sets TensorFlow's threads (0: its own choice) and lets GPU memory grow; only before its first operation."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(intra_op_threads)
    tf.config.threading.set_inter_op_parallelism_threads(inter_op_threads)
    for device in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(device, enable=True)  # replicas share a GPU


def _make_function(loaded: Any, concrete: Any, definition: Any) -> Function:
    import tensorflow as tf

    specs = concrete.structured_input_signature[1]

    def run(inputs: Arrays) -> dict[str, np.ndarray]:
        return _call(concrete, inputs)

    def compile_(shapes: Mapping[str, TensorSpec], on_trace: Callable[[], None]) -> Run:
        def traced(**tensors: Any) -> Any:
            on_trace()
            return concrete(**tensors)

        static = {n: tf.TensorSpec(spec.shape, specs[n].dtype, name=n) for n, spec in shapes.items()}
        compiled = tf.function(traced, jit_compile=True, autograph=False).get_concrete_function(**static)
        return lambda inputs: _call(compiled, inputs)

    run.loaded = loaded  # type: ignore[attr-defined]  # the function alone does not keep its variables alive
    return Function(
        inputs={n: _read_spec(s) for n, s in specs.items()},
        outputs={n: _read_spec(s) for n, s in concrete.structured_outputs.items()},
        definition=definition.SerializeToString(),
        method_name=definition.method_name,
        defaults={n: tf.make_ndarray(p) for n, p in definition.defaults.items()},
        run=run,
        compile=compile_,
    )


def _call(function: Any, inputs: Arrays) -> dict[str, np.ndarray]:
    import tensorflow as tf

    try:
        outputs = function(**{name: tf.constant(array) for name, array in inputs.items()})
    except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError) as error:
        message = NODE.sub("", error.message or "").strip().split("\n")[0]
        raise InvalidInput(f"the model refuses it: {message[:300]}", "inputs") from error
    return {name: tensor.numpy() for name, tensor in outputs.items()}


def _read_spec(spec: Any) -> TensorSpec:
    shape = None if spec.shape.rank is None else tuple(spec.shape.as_list())
    return TensorSpec(STRING if spec.dtype.name == "string" else spec.dtype.name, shape)
