"""A drawing that grows while it is drawn, and when its classes are sure."""

from dataclasses import dataclass, field

import numpy as np
from seqserve.sketch.v1 import sketch_service_pb2 as pb

from services.runtime.errors import InvalidInput
from services.sketch.schema import MAX_POINTS, MAX_STROKES


@dataclass(frozen=True)
class Snapshot:
    """A drawing as it was at one moment.

    Attributes:
        sketch: its strokes; a dot has its point twice, and a stroke that has just begun, with one point, is left out.
        point_count: points of the client that are in it.
        clear_count: how often the drawing had been emptied.
    """

    sketch: pb.Sketch
    point_count: int
    clear_count: int


@dataclass
class Drawing:
    """The strokes so far.

    Attributes:
        sketch: every point so far; the last stroke may have 1 only.
        point_count: points so far.
        clear_count: how often it was emptied.
        revision: rises with each change of what can be classified.
        is_pen_down: the last stroke goes on.
    """

    sketch: pb.Sketch = field(default_factory=pb.Sketch)
    point_count: int = 0
    clear_count: int = 0
    revision: int = 0
    is_pen_down: bool = False

    def append(self, points: pb.StrokePoints) -> None:
        """Adds points to the current stroke, or begins one.

        Raises:
            InvalidInput: x and y differ in length, a value is not finite, or the drawing becomes too large.
        """
        if len(points.x) != len(points.y):
            raise InvalidInput(f"{len(points.x)} x and {len(points.y)} y values; as many of both", "points")
        for axis, values in (("x", points.x), ("y", points.y)):
            wrong = np.flatnonzero(~np.isfinite(values))
            if len(wrong):
                raise InvalidInput(f"{values[wrong[0]]}; a finite number", f"points.{axis}[{wrong[0]}]")
        if self.point_count + len(points.x) > MAX_POINTS:
            total = self.point_count + len(points.x)
            raise InvalidInput(f"the drawing has {total} points; at most {MAX_POINTS}", "points")
        if not points.x:
            return
        if not self.is_pen_down:
            if len(self.sketch.strokes) == MAX_STROKES:
                raise InvalidInput(f"the drawing has {MAX_STROKES + 1} strokes; at most {MAX_STROKES}", "points")
            self.sketch.strokes.add()
            self.is_pen_down = True
        stroke = self.sketch.strokes[-1]
        stroke.x.extend(points.x)
        stroke.y.extend(points.y)
        self.point_count += len(points.x)
        self.revision += len(stroke.x) > 1

    def end_stroke(self) -> None:
        """Lifts the pen."""
        if self.is_pen_down and len(self.sketch.strokes[-1].x) == 1:
            self.revision += 1  # a point became a dot
        self.is_pen_down = False

    def clear(self) -> None:
        """Empties it."""
        self.sketch = pb.Sketch()
        self.point_count = 0
        self.is_pen_down = False
        self.clear_count += 1
        self.revision += 1

    def snapshot(self) -> Snapshot | None:
        """What can be classified by now; None while that has no extent."""
        sketch, point_count = pb.Sketch(), self.point_count
        sketch.CopyFrom(self.sketch)
        if self.is_pen_down and len(sketch.strokes[-1].x) == 1:
            del sketch.strokes[-1]
            point_count -= 1
        for stroke in sketch.strokes:
            if len(stroke.x) == 1:
                stroke.x.append(stroke.x[0])
                stroke.y.append(stroke.y[0])
        if not sketch.strokes:
            return None
        points = np.concatenate([np.array([s.x, s.y]) for s in sketch.strokes], axis=1)
        return Snapshot(sketch, point_count, self.clear_count) if np.ptp(points, axis=1).any() else None


@dataclass
class Confidence:
    """Whether the best class has stayed sure.

    Attributes:
        threshold: probability that it must reach.
        needed: predictions in a row that must agree.
        label: best class of the run so far.
        streak: length of that run.
    """

    threshold: float
    needed: int
    label: str = ""
    streak: int = 0

    def observe(self, label: str, probability: float) -> bool:
        """Takes the best class of the next prediction; True while it is sure."""
        if probability < self.threshold:
            self.streak = 0
        else:
            self.streak = self.streak + 1 if label == self.label else 1
        self.label = label
        return self.streak >= self.needed

    def reset(self) -> None:
        """Forgets what it saw."""
        self.label, self.streak = "", 0
