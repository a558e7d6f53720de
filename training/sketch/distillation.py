"""A student that learns from a teacher's answers."""

from typing import Any

import keras
from keras import ops

from training.sketch.config import Distillation
from training.sketch.models.classifier import SketchClassifier

Tensor = Any


class Student(keras.Model):  # type: ignore[misc]
    """Wraps a model for training: the loss is that of the labels and, in part, the teacher's (Hinton et al. 2015).

    The teacher's logits are those for the very drawing, altered as it is, that the student sees.
    """

    def __init__(self, model: SketchClassifier, teacher: SketchClassifier, distillation: Distillation) -> None:
        super().__init__(name="student", autocast=False)
        self.model, self.distillation = model, distillation
        teacher.trainable = False

        def ask(inputs: dict[str, Tensor]) -> Tensor:
            return teacher(inputs, training=False)

        self._ask = ask  # a function is not tracked: the teacher's weights are not the student's

    def call(self, inputs: dict[str, Tensor], training: bool = False) -> Tensor:
        return self.model(inputs, training=training)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Tensor:
        labels = super().compute_loss(x, y, y_pred, sample_weight, training)
        if not training:
            return labels
        temperature, weight = self.distillation.temperature, self.distillation.weight
        whole = {name: part for name, part in x.items() if name != "window"}  # the student may read a part
        told = ops.softmax(ops.stop_gradient(self._ask(whole)) / temperature)
        said = ops.log_softmax(y_pred / temperature)
        each = -ops.sum(told * said, axis=-1) * temperature**2  # keeps gradients as large as the labels'
        taught = ops.mean(each if sample_weight is None else each * sample_weight)
        return (1 - weight) * labels + weight * taught
