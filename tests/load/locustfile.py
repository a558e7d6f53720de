"""Mixed REST traffic for a running platform: `make load`, or `locust -f tests/load/locustfile.py`.

Half of the requests repeat one of a few drawings, so that the cache has something to do.
"""

import math
import random
from datetime import date

from locust import HttpUser, between, task

REPEATED = 8


def make_drawing(seed: int) -> list[list[list[int]]]:
    """A wobbly closed curve of two strokes; the same for the same seed."""
    rng = random.Random(seed)
    wobble = rng.uniform(0.1, 0.6)
    angles = [2 * math.pi * i / 24 for i in range(25)]
    radii = [100 * (1 + wobble * math.sin(rng.randint(2, 5) * a)) for a in angles]
    curve = [[round(r * f(a)) for r, a in zip(radii, angles, strict=True)] for f in (math.cos, math.sin)]
    return [curve, [[rng.randint(-50, 50) for _ in range(4)], [rng.randint(-50, 50) for _ in range(4)]]]


def make_series(seed: int) -> dict[str, object]:
    """A noisy weekly series of 60 to 400 days."""
    rng = random.Random(seed)
    values = [100 + 30 * (i % 7 < 5) + rng.gauss(0, 5) for i in range(rng.randint(60, 400))]
    return {"id": str(seed), "start": date(2023, 1, 2).isoformat(), "values": values}


class Visitor(HttpUser):
    """Draws most of the time, forecasts sometimes."""

    wait_time = between(0.01, 0.05)

    @task(6)
    def classify_sketch(self) -> None:
        seed = random.randrange(REPEATED) if random.random() < 0.5 else random.getrandbits(40)
        self.client.post("/v1/sketches:classify", json={"strokes": make_drawing(seed)})

    @task(1)
    def classify_sketches(self) -> None:
        sketches = [{"strokes": make_drawing(random.getrandbits(40))} for _ in range(16)]
        self.client.post("/v1/sketches:batchClassify", json={"sketches": sketches})

    @task(2)
    def forecast(self) -> None:
        series = [make_series(random.getrandbits(40)) for _ in range(random.randint(1, 4))]
        self.client.post("/v1/series:forecast", json={"series": series})
