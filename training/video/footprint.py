"""What a model takes: operations of one clip, and memory."""

import json
import subprocess
import sys
from pathlib import Path

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
from tensorflow.python.util import deprecation

from training.video.config import Config
from training.video.models.classifier import VideoClassifier, example_inputs

_LOAD_AND_CALL = """
import json, sys
import psutil, tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.constant(0.0) + 1.0
before = psutil.Process().memory_info().rss
loaded = tf.saved_model.load(sys.argv[1])
call = loaded.signatures["serving_default"]
inputs = {name: tf.zeros([int(sys.argv[2]), *spec.shape[1:]], spec.dtype)
          for name, spec in call.structured_input_signature[1].items()}
for _ in range(3):
    call(**inputs)
print(json.dumps(psutil.Process().memory_info().rss - before))
"""


def count_flops(model: VideoClassifier, config: Config) -> int:
    """Floating point operations of one clip: twice the multiplications of convolutions and matrix products."""
    inputs = {name: tf.TensorSpec(value.shape, value.dtype) for name, value in example_inputs(config).items()}
    function = tf.function(lambda clip: model(clip, training=False), autograph=False).get_concrete_function(inputs)
    graph = convert_variables_to_constants_v2(function).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    with graph.as_default(), deprecation.silence():
        return int(tf.compat.v1.profiler.profile(graph, options=options).total_float_ops)


def measure_memory(folder: Path, batch: int) -> int:
    """Bytes that a process grows by when it loads a SavedModel and calls it with `batch` black clips."""
    command = [sys.executable, "-c", _LOAD_AND_CALL, str(folder), str(batch)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(json.loads(done.stdout))
